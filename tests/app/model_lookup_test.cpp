#include "app/model_lookup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lathe/error.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// A working folder and a home of its own, and no hub.
class ModelLookup : public ::testing::Test {
 protected:
  ModelLookup() : before_(fs::current_path()) {
    root_ = ::testing::TempDir() + "lookup_" + ::testing::UnitTest::GetInstance()->current_test_info()->name() + "_" +
            std::to_string(::getpid());
    fs::create_directories(root_ + "/work");
    fs::current_path(root_ + "/work");
    ::setenv("HF_HOME", (root_ + "/hf").c_str(), 1);
    ::setenv("HF_HUB_OFFLINE", "1", 1);
    ::unsetenv("HF_HUB_CACHE");
  }
  ~ModelLookup() override {
    fs::current_path(before_);
    fs::remove_all(root_);
  }
  static void make_model(const std::string& directory, const std::string& weights = "model.safetensors",
                         const std::string& config = "{}") {
    fs::create_directories(directory);
    atomic_write(directory + "/config.json", config);
    if (!weights.empty()) atomic_write(directory + "/" + weights, "x");
  }
  static void make_reference(const std::string& model, const std::string& commit) {
    fs::create_directories(model + "/refs");
    atomic_write(model + "/refs/main", commit);
  }
  static std::string failure(const ModelRequest& request) {
    try {
      return "found in " + find_model(request);
    } catch (const Error& error) {
      EXPECT_EQ(exit_code(error.kind()), 2);
      return error.what();
    }
  }

  fs::path before_;
  std::string root_;
};

TEST_F(ModelLookup, TriesThePlacesInTheToolkitsOrder) {
  const ModelRequest request{.name = "owner/tiny", .cache_dir = "cache"};
  const std::string snapshot = root_ + "/hf/hub/models--owner--tiny/snapshots/abc";
  make_model(snapshot);
  make_reference(root_ + "/hf/hub/models--owner--tiny", "abc\n");
  EXPECT_EQ(find_model(request), snapshot);
  for (const char* folder : {"owner/tiny", "models/tiny", "cache/tiny", "cache/owner/tiny"}) {
    make_model(folder);
    EXPECT_EQ(find_model(request), folder);
  }
}

TEST_F(ModelLookup, HubCacheVariableComesBeforeHome) {
  const std::string cache = root_ + "/elsewhere";
  ::setenv("HF_HUB_CACHE", cache.c_str(), 1);
  make_model(cache + "/models--owner--tiny/snapshots/abc");
  make_reference(cache + "/models--owner--tiny", "abc");
  EXPECT_EQ(find_model({.name = "owner/tiny"}), cache + "/models--owner--tiny/snapshots/abc");
  ::unsetenv("HF_HUB_CACHE");
}

TEST_F(ModelLookup, ACacheThatHoldsATokenizerAloneIsNotTaken) {
  make_model(root_ + "/hf/hub/models--owner--tiny/snapshots/abc", "tokenizer.json");
  make_reference(root_ + "/hf/hub/models--owner--tiny", "abc");
  EXPECT_THAT(failure({.name = "owner/tiny"}), HasSubstr("found nowhere"));
  ModelRequest request{.name = "owner/tiny"};
  request.needs_weights = false;
  EXPECT_THAT(find_model(request), HasSubstr("snapshots/abc"));
}

TEST_F(ModelLookup, NowhereNamesEveryPlaceAndHowToBringIt) {
  const std::string text = failure({.name = "owner/tiny", .cache_dir = "cache"});
  for (const char* part : {"model_name_or_path", "cache/owner/tiny", "cache/tiny", "models/tiny", " owner/tiny,",
                           "models--owner--tiny", "HF_HUB_OFFLINE", "lathe download owner/tiny"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_THAT(failure({.name = "/no/such/folder"}), HasSubstr("/no/such/folder"));
}

TEST_F(ModelLookup, NoNetworkNamesWhatFailed) {
  ::unsetenv("HF_HUB_OFFLINE");
  ::setenv("HF_ENDPOINT", "http://127.0.0.1:1", 1);  // nobody listens there
  const std::string text = failure({.name = "owner/tiny"});
  ::unsetenv("HF_ENDPOINT");
  EXPECT_THAT(text, HasSubstr("http://127.0.0.1:1"));
  EXPECT_THAT(text, HasSubstr("models/tiny"));
  EXPECT_FALSE(fs::exists("models/tiny/config.json"));
}

TEST_F(ModelLookup, ForeignWeightsAreRefusedByName) {
  make_model("gptq", "model.safetensors", R"({"quantization_config":{"quant_method":"gptq"}})");
  EXPECT_THAT(failure({.name = "gptq"}), HasSubstr("GPTQ"));
  make_model("awq", "model.safetensors", R"({"quantization_config":{"quant_method":"awq"}})");
  EXPECT_THAT(failure({.name = "awq"}), HasSubstr("AWQ"));
  make_model("pickled", "pytorch_model.bin");
  EXPECT_THAT(failure({.name = "pickled"}), HasSubstr("pickled/pytorch_model.bin"));
  make_model("bare", "");
  EXPECT_THAT(failure({.name = "bare"}), HasSubstr("init_from_scratch"));
}

}  // namespace
}  // namespace lathe
