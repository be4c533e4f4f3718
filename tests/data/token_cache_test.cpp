#include "data/token_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <thread>

#include "base/log.h"
#include "data/data_fixtures.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::qwen;
using testing::same;
using testing::tokenizer_of;

constexpr const char* kRows =
    "{\"question\": \"one\", \"answer\": \"1\"}\n"
    "{\"question\": \"two\"}\n"
    "{\"question\": \"one\", \"answer\": \"1\"}\n"
    "{\"question\": \"three\", \"answer\": \"a long answer that is cut somewhere before its end, surely\"}\n";

class TokenCacheTest : public ::testing::Test {
 protected:
  TokenCacheTest() { options_.max_seq_length = 16; }

  Dataset read(TokenCache& cache, const std::vector<std::string>& paths) const {
    return read_dataset(paths, BadRowPolicy::kSkip, qwen(), options_, cache);
  }
  /// Reads with a cache of its own, and what the console said.
  std::pair<Dataset, std::string> read_anew(const std::vector<std::string>& paths, bool overwrite = false) const {
    TokenCache cache(cache_, overwrite);
    ::testing::internal::CaptureStderr();
    Dataset dataset = read(cache, paths);
    return {std::move(dataset), ::testing::internal::GetCapturedStderr()};
  }
  [[nodiscard]] std::vector<fs::path> files() const {
    if (!fs::exists(cache_)) return {};
    return {fs::directory_iterator(cache_), {}};
  }

  EncodeOptions options_;
  TemporaryFolder folder_;
  std::string cache_ = folder_ / "deep/cache";
  std::string rows_ = testing::write_file("rows.jsonl", kRows);
};

TEST_F(TokenCacheTest, TheSecondRunMapsWhatTheFirstOneKeptAndReportsTheSame) {
  const auto [first, said_first] = read_anew({rows_});
  const auto [second, said_second] = read_anew({rows_});
  ASSERT_EQ(files().size(), 1u);
  EXPECT_THAT(said_first, HasSubstr("Tokens: kept for later runs in " + files()[0].string()));
  EXPECT_THAT(said_second, HasSubstr("Tokens: mapped from " + files()[0].string()));
  const Dataset plain = encode_rows(read_rows({rows_}, BadRowPolicy::kSkip), qwen(), options_);
  for (const Dataset* dataset : {&first, &second}) {
    ASSERT_EQ(dataset->samples.size(), 3u);
    for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(same(dataset->samples[i], plain.samples[i]));
    EXPECT_EQ(describe(dataset->report), describe(plain.report));
    EXPECT_EQ(dataset->fingerprint, plain.fingerprint);
  }
  EXPECT_THAT(describe(second.report), HasSubstr("4 read, 3 kept, 1 skipped as unusable, 1 cut"));
  EXPECT_THAT(describe(second.report), HasSubstr("skipped " + rows_ + ":2: "));
}

TEST_F(TokenCacheTest, ContentCountsAndNotTheName) {
  (void)read_anew({rows_});
  const std::string moved = testing::write_file("moved.jsonl", kRows);
  const auto [dataset, said] = read_anew({moved});
  EXPECT_THAT(said, HasSubstr("mapped from"));
  EXPECT_EQ(dataset.report.skipped.at(0).file, moved);
  const std::string changed = testing::write_file("rows.jsonl", std::string(kRows) + "\n");
  EXPECT_THAT(read_anew({changed}).second, Not(HasSubstr("mapped from")));
}

TEST_F(TokenCacheTest, EverythingThatTheRowsDependOnIsInTheKey) {
  const std::string text = kRows;
  const size_t half = text.find('\n') + 1;
  const std::string a = testing::write_file("a.jsonl", text.substr(0, half));
  const std::string b = testing::write_file("b.jsonl", text.substr(half));
  const std::string array = testing::write_file("rows.json", kRows);
  std::set<std::string> keys;
  const auto add = [&](const std::vector<std::string>& paths, BadRowPolicy policy, const Tokenizer& tokenizer,
                       const EncodeOptions& options) {
    EXPECT_TRUE(keys.insert(token_cache_key(fingerprint_files(paths), paths, policy, tokenizer, options)).second);
  };
  add({rows_}, BadRowPolicy::kSkip, qwen(), options_);
  add({rows_}, BadRowPolicy::kError, qwen(), options_);
  add({a, b}, BadRowPolicy::kSkip, qwen(), options_);
  add({array}, BadRowPolicy::kSkip, qwen(), options_);
  add({rows_}, BadRowPolicy::kSkip, tokenizer_of("qwen3"), options_);
  const auto with = [&](auto change) {
    EncodeOptions options = options_;
    change(options);
    add({rows_}, BadRowPolicy::kSkip, qwen(), options);
  };
  with([](EncodeOptions& o) { o.template_kind = TemplateKind::kQwen25; });
  with([](EncodeOptions& o) { o.template_kind = TemplateKind::kQwen3; });
  with([](EncodeOptions& o) { o.enable_thinking = true; });
  with([](EncodeOptions& o) { o.enable_thinking = false; });
  with([](EncodeOptions& o) { o.max_seq_length = 17; });
  with([](EncodeOptions& o) { o.truncation_side = TruncationSide::kLeft; });
  with([](EncodeOptions& o) { o.overlong = OverlongPolicy::kDrop; });
  with([](EncodeOptions& o) { o.overlong = OverlongPolicy::kTruncate; });
  with([](EncodeOptions& o) { o.train_on_prompt = true; });
  EncodeOptions threads = options_;
  threads.num_threads = 3;  // changes nothing
  EXPECT_TRUE(
      keys.contains(token_cache_key(fingerprint_files({rows_}), {rows_}, BadRowPolicy::kSkip, qwen(), threads)));
}

TEST_F(TokenCacheTest, ADamagedFileIsNamedRemovedAndMadeAgain) {
  (void)read_anew({rows_});
  const std::string file = files().at(0).string(), whole = read_text_file(file);
  std::string broken = whole;
  broken[broken.size() / 2] = static_cast<char>(broken[broken.size() / 2] ^ 1);
  atomic_write(file, broken);
  const auto [dataset, said] = read_anew({rows_});
  EXPECT_THAT(said, HasSubstr("the token cache is damaged and is made anew: " + file + ": its checksum"));
  EXPECT_EQ(dataset.samples.size(), 3u);
  EXPECT_EQ(read_text_file(file), whole);
  EXPECT_THAT(read_anew({rows_}).second, HasSubstr("mapped from"));
}

TEST_F(TokenCacheTest, OverwriteMakesItAnew) {
  (void)read_anew({rows_});
  EXPECT_THAT(read_anew({rows_}, true).second, HasSubstr("kept for later runs in"));
  EXPECT_THAT(read_anew({rows_}).second, HasSubstr("mapped from"));
}

TEST_F(TokenCacheTest, WhereNothingCanBeKeptTheRunGoesOnAndSaysSoOnce) {
  for (const std::string& folder : {rows_ + "/no_folder", std::string()}) {
    TokenCache cache(folder);
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(read(cache, {rows_}).samples.size(), 3u);
    EXPECT_EQ(read(cache, {testing::write_file("other.jsonl", std::string(kRows) + kRows)}).samples.size(), 6u);
    const std::string said = ::testing::internal::GetCapturedStderr();
    const std::string sentence = "the tokens are not kept for later runs: ";
    EXPECT_NE(said.find(sentence), std::string::npos);
    EXPECT_EQ(said.find(sentence), said.rfind(sentence));
  }
}

TEST_F(TokenCacheTest, SeveralWritersAtOnceDisturbNobody) {
  (void)read_anew({rows_});
  log::set_console_level(log::Level::kWarning);
  ::testing::internal::CaptureStderr();
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, writes = i % 2 == 0] {
      for (int k = 0; k < 25; ++k) {
        TokenCache cache(cache_, writes);
        right += read(cache, {rows_}).samples.size() == 3 ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  log::set_console_level(log::Level::kInfo);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");  // nobody found a damaged one
  EXPECT_EQ(right, 100);
  EXPECT_EQ(files().size(), 1u);
}

TEST_F(TokenCacheTest, BeyondItsSizeTheLeastRecentlyUsedGo) {
  std::vector<std::string> paths;
  for (const char* name : {"1.jsonl", "2.jsonl", "3.jsonl"}) {
    paths.push_back(testing::write_file(name, std::string(kRows) + R"({"text": ")" + name + "\"}\n"));
  }
  (void)read_anew({paths[0]});
  const auto size = static_cast<int64_t>(fs::file_size(files().at(0)));
  const fs::path oldest = files().at(0);
  (void)read_anew({paths[1]});
  const auto now = fs::file_time_type::clock::now();
  for (const fs::path& file : files()) {
    fs::last_write_time(file, now - std::chrono::hours(file == oldest ? 9 : 5));
  }
  (void)read_anew({paths[0]});  // the oldest is used: now it is the other's turn
  const fs::path half_written = fs::path(cache_) / "x.tokens.tmp.1.0", fresh = fs::path(cache_) / "y.tokens.tmp.2.0";
  const fs::path foreign = fs::path(cache_) / "notes.txt";
  for (const fs::path& path : {half_written, fresh, foreign}) {
    atomic_write(path.string(), "x");
    if (path != fresh) fs::last_write_time(path, now - std::chrono::hours(2));
  }
  TokenCache cache(cache_, false, 2 * size + 64);
  (void)read(cache, {paths[2]});
  EXPECT_TRUE(fs::exists(oldest));
  EXPECT_FALSE(fs::exists(half_written));
  EXPECT_TRUE(fs::exists(fresh));
  EXPECT_TRUE(fs::exists(foreign));
  EXPECT_EQ(files().size(), 4u);
  EXPECT_THAT(read_anew({paths[1]}).second, HasSubstr("kept for later runs"));
}

TEST_F(TokenCacheTest, TheFolderComesFromTheEnvironment) {
  const auto with = [](const char* own, const char* xdg, const char* home) {
    const auto put = [](const char* name, const char* value) {
      value != nullptr ? ::setenv(name, value, 1) : ::unsetenv(name);
    };
    put("LATHE_CACHE_DIR", own);
    put("XDG_CACHE_HOME", xdg);
    put("HOME", home);
    return TokenCache::default_folder();
  };
  EXPECT_EQ(with("/a", "/b", "/c"), "/a");
  EXPECT_EQ(with(nullptr, "/b", "/c"), "/b/lathe");
  EXPECT_EQ(with("", "", "/c"), "/c/.cache/lathe");
  EXPECT_EQ(with(nullptr, nullptr, nullptr), "");
}

}  // namespace
}  // namespace lathe
