// Downloads from a server on the loopback address that misbehaves in the ways real ones do.
#include "app/hub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lathe/error.h>

#include <filesystem>
#include <map>

#include "app/tiny_http_server.h"
#include "base/file.h"
#include "base/sha256.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;

// A repository as the hub shows it: a listing, and files behind resolve/COMMIT/.
struct FakeHub {
  std::map<std::string, std::string> files = {{"config.json", R"({"model_type":"qwen2"})"},
                                              {"tokenizer.json", "{}"},
                                              {"model.safetensors", std::string(200000, 'w')},
                                              {"pytorch_model.bin", "pickle"},
                                              {"README.md", "read me"}};
  std::string sha256_told;   // instead of the real one
  int break_off_after = -1;  // bytes of model.safetensors in an answer
  int breaks_left = 0;       // how many answers break
  bool honours_range = true;
  std::string refuse_status;  // of every answer

  std::string answer(const std::string& head) {
    if (!refuse_status.empty()) return TinyHttpServer::make(refuse_status, "no");
    const std::string target = head.substr(4, head.find(' ', 4) - 4);
    if (target == "/api/models/owner/tiny/revision/main?blobs=true") return TinyHttpServer::make("200 OK", listing());
    const std::string prefix = "/owner/tiny/resolve/c0ffee/";
    if (!target.starts_with(prefix) || !files.contains(target.substr(prefix.size()))) {
      return TinyHttpServer::make("404 Not Found", "nothing here");
    }
    const std::string name = target.substr(prefix.size());
    return serve_file(head, name);
  }

  std::string listing() const {
    std::string siblings;
    for (const auto& [name, body] : files) {
      siblings += (siblings.empty() ? "" : ",") + std::string(R"({"rfilename":")") + name + R"(","size":)" +
                  std::to_string(body.size());
      if (name == "model.safetensors") {
        const std::string sha = sha256_told.empty() ? Sha256().update(body).hex() : sha256_told;
        siblings += R"(,"lfs":{"sha256":")" + sha + R"(","size":)" + std::to_string(body.size()) + "}";
      }
      siblings += "}";
    }
    return R"({"sha":"c0ffee","siblings":[)" + siblings + "]}";
  }

  std::string serve_file(const std::string& head, const std::string& name) {
    const std::string& body = files.at(name);
    size_t first = 0;
    if (const size_t range = head.find("Range: bytes="); honours_range && range != std::string::npos) {
      first = std::stoul(head.substr(range + 13));
      if (first >= body.size()) return TinyHttpServer::make("416 Range Not Satisfiable", "");
    }
    std::string rest = body.substr(first);
    const auto promised = static_cast<int64_t>(rest.size());
    if (name == "model.safetensors" && breaks_left > 0) {
      --breaks_left;
      rest.resize(std::min(rest.size(), static_cast<size_t>(break_off_after)));
    }
    return TinyHttpServer::make(first > 0 ? "206 Partial Content" : "200 OK", rest, "", promised);
  }
};

class Hub : public ::testing::Test {
 protected:
  Hub() : server_([this](const std::string& head) { return hub_.answer(head); }) {
    folder_ = ::testing::TempDir() + "hub_" + ::testing::UnitTest::GetInstance()->current_test_info()->name() + "_" +
              std::to_string(::getpid());
    settings_.endpoint = server_.url();
    settings_.retry_delay_s = 0.01;
  }
  ~Hub() override { std::filesystem::remove_all(folder_); }

  void download() { download_model(settings_, "owner/tiny", folder_); }
  std::string content(const std::string& name) { return read_text_file(folder_ + "/" + name); }
  std::string failure() {
    try {
      download();
    } catch (const Error& error) {
      kind_ = error.kind();
      return error.what();
    }
    return "";
  }
  bool has_leftovers() {
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      if (entry.path().string().ends_with(".incomplete")) return true;
    }
    return false;
  }
  size_t count_requests(const std::string& text) {
    size_t count = 0;
    for (const std::string& request : server_.requests()) count += request.find(text) != std::string::npos ? 1 : 0;
    return count;
  }

  FakeHub hub_;
  TinyHttpServer server_;
  HubSettings settings_;
  std::string folder_;
  ErrorKind kind_ = ErrorKind::kInternal;
};

TEST_F(Hub, BringsTheFilesThatAModelNeedsAndNoOthers) {
  settings_.token = "secret";
  download();
  EXPECT_EQ(content("model.safetensors"), hub_.files["model.safetensors"]);
  EXPECT_EQ(content("config.json"), hub_.files["config.json"]);
  EXPECT_FALSE(file_exists(folder_ + "/pytorch_model.bin"));
  EXPECT_FALSE(file_exists(folder_ + "/README.md"));
  EXPECT_FALSE(has_leftovers());
  EXPECT_THAT(server_.requests().back(), HasSubstr("/config.json"));  // last: a folder that has one is whole
  EXPECT_EQ(count_requests("Authorization: Bearer secret"), server_.requests().size());
}

TEST_F(Hub, SecondRunFetchesNothingAgain) {
  download();
  const size_t before = count_requests("/resolve/");
  download();
  EXPECT_EQ(count_requests("/resolve/"), before);
}

TEST_F(Hub, GoesOnWhereADroppedConnectionStopped) {
  hub_.break_off_after = 70000;
  hub_.breaks_left = 2;
  download();
  EXPECT_EQ(content("model.safetensors"), hub_.files["model.safetensors"]);
  EXPECT_EQ(count_requests("Range: bytes=70000-"), 1U);
  EXPECT_EQ(count_requests("Range: bytes=140000-"), 1U);
}

TEST_F(Hub, GoesOnInALaterRun) {
  hub_.break_off_after = 50000;
  hub_.breaks_left = 1;
  settings_.tries = 1;
  EXPECT_THAT(failure(), HasSubstr("goes on where it stopped"));
  EXPECT_EQ(kind_, ErrorKind::kIo);
  EXPECT_FALSE(file_exists(folder_ + "/config.json"));
  download();
  EXPECT_EQ(content("model.safetensors"), hub_.files["model.safetensors"]);
  EXPECT_EQ(count_requests("Range: bytes=50000-"), 1U);
}

TEST_F(Hub, StartsAnewWhereTheServerKnowsNoRanges) {
  hub_.break_off_after = 50000;
  hub_.breaks_left = 1;
  hub_.honours_range = false;
  download();
  EXPECT_EQ(content("model.safetensors"), hub_.files["model.safetensors"]);
}

TEST_F(Hub, WrongBytesAreRemovedAndSaid) {
  hub_.sha256_told = std::string(64, 'a');
  EXPECT_THAT(failure(), ::testing::AllOf(HasSubstr("model.safetensors"), HasSubstr("SHA-256"), HasSubstr("removed")));
  EXPECT_EQ(kind_, ErrorKind::kIo);
  EXPECT_FALSE(has_leftovers());
  EXPECT_FALSE(file_exists(folder_ + "/model.safetensors"));
  EXPECT_FALSE(file_exists(folder_ + "/config.json"));
}

TEST_F(Hub, RefusalsSayWhatToDo) {
  hub_.refuse_status = "404 Not Found";
  EXPECT_THAT(failure(), HasSubstr("has no model 'owner/tiny'"));
  EXPECT_EQ(kind_, ErrorKind::kConfig);
  hub_.refuse_status = "401 Unauthorized";
  EXPECT_THAT(failure(), HasSubstr("HF_TOKEN"));
  EXPECT_EQ(kind_, ErrorKind::kConfig);
  hub_.refuse_status = "500 Oops";
  EXPECT_THAT(failure(), HasSubstr("status 500"));
  EXPECT_EQ(kind_, ErrorKind::kIo);
}

TEST_F(Hub, AModelOfPicklesAloneIsRefused) {
  hub_.files.erase("model.safetensors");
  EXPECT_THAT(failure(), HasSubstr("pytorch_model.bin"));
  EXPECT_EQ(kind_, ErrorKind::kConfig);
}

TEST(HubNames, AreTheHubsOwn) {
  EXPECT_TRUE(is_hub_name("Qwen/Qwen2.5-0.5B-Instruct"));
  EXPECT_TRUE(is_hub_name("gpt2"));
  for (const char* name : {"./here", "/abs/path", "a/b/c", "", "a b", "../up"}) EXPECT_FALSE(is_hub_name(name)) << name;
}

}  // namespace
}  // namespace lathe
