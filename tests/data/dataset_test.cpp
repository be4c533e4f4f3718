#include "data/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "data/data_fixtures.h"

namespace lathe {
namespace {

using testing::error_of;
using testing::gsm8k;
using ::testing::HasSubstr;
using testing::question;
using testing::qwen;
using testing::rows_of;

EncodedRow encode_one(const Row& row, const EncodeOptions& options = {}) {
  const Dataset dataset = encode_rows(rows_of({row}), qwen(), options);
  return testing::copy_of(dataset.samples.at(0));
}

Error error_of_rows(const std::vector<Row>& rows, const EncodeOptions& options) {
  return error_of([&] { (void)encode_rows(rows_of(rows), qwen(), options); });
}

TEST(EncodeRows, ARowCutBeforeItsAnswerIsAnErrorThatSaysWhatLengthIsEnough) {
  const Row row = question("a b c d e f g h", "i j k");
  const EncodedRow whole = encode_one(row);
  const auto first_label = std::find_if(whole.labels.begin(), whole.labels.end(), [](int32_t id) { return id >= 0; });
  const int64_t enough = first_label - whole.labels.begin() + 1;
  EncodeOptions options;
  options.max_seq_length = enough - 1;
  const Error error = error_of_rows({question("q", "a"), row}, options);
  EXPECT_EQ(exit_code(error.kind()), 2);
  EXPECT_EQ(error.where().line, 2);
  EXPECT_THAT(error.what(), HasSubstr("rows.jsonl:2: nothing of the answer is left"));
  EXPECT_THAT(error.what(), HasSubstr(std::to_string(whole.input_ids.size()) + " tokens are cut"));
  EXPECT_THAT(error.hint(), HasSubstr("max_seq_length=" + std::to_string(whole.input_ids.size()) + " "));
  EXPECT_THAT(error.hint(), HasSubstr(" " + std::to_string(enough) + " the beginning"));
  EXPECT_THAT(error.hint(), HasSubstr("overlong=\"drop\""));
  options.max_seq_length = enough;
  EXPECT_EQ(num_targets(encode_one(row, options).view()), 1);
}

TEST(EncodeRows, LeftCuttingLosesTheAnswerOnlyWhenOneTokenIsLeft) {
  EncodeOptions options;
  options.truncation_side = TruncationSide::kLeft;
  options.max_seq_length = 2;
  EXPECT_EQ(num_targets(encode_one(question("q", "a"), options).view()), 1);
  options.max_seq_length = 1;
  EXPECT_THAT(error_of_rows({question("q", "a")}, options).hint(), HasSubstr(" 2 the beginning"));
}

TEST(EncodeRows, OverlongPolicies) {
  const std::vector<Row> rows = {question("q", "a"), question("a b c d e f g h i j k l m n o p", "x"),
                                 question("r", "b")};
  EncodeOptions options;
  options.max_seq_length = 14;
  options.overlong = OverlongPolicy::kTruncate;
  const DataReport cut = encode_rows(rows_of(rows), qwen(), options).report;
  EXPECT_EQ(cut.rows_kept, 3);
  EXPECT_EQ(cut.rows_truncated, 1);
  EXPECT_EQ(cut.rows_without_labels, 1);
  options.overlong = OverlongPolicy::kDrop;
  const Dataset dropped = encode_rows(rows_of(rows), qwen(), options);
  EXPECT_EQ(dropped.report.rows_dropped, 1);
  EXPECT_EQ(dropped.report.rows_read, 3);
  EXPECT_EQ(dropped.samples.at(1).line, 3);
  options.overlong = OverlongPolicy::kError;
  const Error error = error_of_rows(rows, options);
  EXPECT_EQ(error.where().line, 2);
  EXPECT_THAT(error.what(), HasSubstr("max_seq_length is 14"));
}

TEST(EncodeRows, NoLabelAnywhereIsAnErrorWithItsCause) {
  EncodeOptions options;
  options.max_seq_length = 4;
  options.overlong = OverlongPolicy::kTruncate;
  const Error cut = error_of_rows({question("q", "a"), question("r", "b")}, options);
  EXPECT_THAT(cut.what(), HasSubstr("no row has a label: 2 of 2 were cut to max_seq_length 4"));
  EXPECT_EQ(exit_code(cut.kind()), 1);
  options.overlong = OverlongPolicy::kDrop;
  EXPECT_THAT(error_of_rows({question("q", "a")}, options).what(),
              HasSubstr("all 1 rows are longer than max_seq_length 4"));
}

TEST(EncodeRows, TheResultDoesNotDependOnThreads) {
  const RowsRead rows = gsm8k();
  EncodeOptions options;
  options.max_seq_length = 200;
  const Dataset one = encode_rows(rows, qwen(), options);
  options.num_threads = 7;
  const Dataset seven = encode_rows(rows, qwen(), options);
  ASSERT_EQ(one.samples.size(), seven.samples.size());
  for (size_t i = 0; i < one.samples.size(); ++i) {
    EXPECT_TRUE(testing::same(one.samples[i], seven.samples[i])) << i;
  }
  EXPECT_EQ(describe(one.report), describe(seven.report));
  options.max_seq_length = 60;
  const auto message = [&](int threads) {
    options.num_threads = threads;
    return std::string(error_of([&] { (void)encode_rows(rows, qwen(), options); }).what());
  };
  EXPECT_EQ(message(1), message(5));
}

TEST(EncodeRows, CountsAddUp) {
  RowsRead rows = gsm8k();
  rows.skipped.push_back({"rows.jsonl", 9, "broken"});
  EncodeOptions options;
  options.max_seq_length = 200;
  options.overlong = OverlongPolicy::kDrop;
  const Dataset dataset = encode_rows(rows, qwen(), options);
  const DataReport& report = dataset.report;
  EXPECT_GT(report.rows_dropped, 0);
  EXPECT_EQ(report.rows_read, report.rows_kept + report.rows_dropped + report.rows_skipped);
  int64_t tokens = 0, targets = 0;
  for (const Sample& sample : dataset.samples) {
    tokens += static_cast<int64_t>(sample.input_ids.size());
    targets += num_targets(sample);
  }
  EXPECT_EQ(report.tokens, tokens);
  EXPECT_EQ(report.trained_tokens, targets);
  EXPECT_LE(report.longest, 200);
  EXPECT_LE(report.shortest, report.median);
  EXPECT_LE(report.median, report.p95);
  EXPECT_LE(report.p95, report.longest);
}

TEST(SplitOff, RowsAreDividedAndKeepTheirOrder) {
  const Dataset whole = encode_rows(gsm8k(), qwen(), {});
  for (const double ratio : {0.001, 0.1, 0.5, 0.9999}) {
    Dataset train = whole;
    const Dataset held_out = split_off(train, ratio, 42);
    const auto count = static_cast<double>(whole.samples.size());
    EXPECT_NEAR(static_cast<double>(held_out.samples.size()), ratio * count, 1.0);
    EXPECT_GE(held_out.samples.size(), 1u);
    EXPECT_GE(train.samples.size(), 1u);
    std::set<int64_t> lines;
    for (const Dataset* part : std::initializer_list<const Dataset*>{&train, &held_out}) {
      int64_t before = 0;
      for (const Sample& sample : part->samples) {
        EXPECT_LT(before, sample.line);
        before = sample.line;
        lines.insert(sample.line);
      }
    }
    EXPECT_EQ(lines.size(), whole.samples.size());
    EXPECT_EQ(train.report.rows_kept + train.report.rows_held_out, whole.report.rows_kept);
    EXPECT_EQ(train.report.tokens + held_out.report.tokens, whole.report.tokens);
    EXPECT_EQ(train.report.trained_tokens + held_out.report.trained_tokens, whole.report.trained_tokens);
  }
}

TEST(SplitOff, TheSeedChooses) {
  const Dataset whole = encode_rows(gsm8k(), qwen(), {});
  const auto lines = [&](uint64_t seed) {
    Dataset train = whole;
    std::vector<int64_t> found;
    for (const Sample& sample : split_off(train, 0.1, seed).samples) found.push_back(sample.line);
    return found;
  };
  EXPECT_EQ(lines(1), lines(1));
  EXPECT_NE(lines(1), lines(2));
}

TEST(SplitOff, WrongRatiosAndSingleRowsAreErrors) {
  Dataset dataset = encode_rows(rows_of({question("q", "a")}), qwen(), {});
  EXPECT_EQ(error_of([&] { (void)split_off(dataset, 1.0, 0); }).kind(), ErrorKind::kConfig);
  EXPECT_EQ(error_of([&] { (void)split_off(dataset, 0.5, 0); }).kind(), ErrorKind::kData);
}

}  // namespace
}  // namespace lathe
