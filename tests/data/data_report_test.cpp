#include "data/data_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/data_fixtures.h"

namespace lathe {
namespace {

using ::testing::Contains;
using testing::conversation;
using ::testing::HasSubstr;
using testing::question;
using testing::qwen;
using testing::rows_of;
using testing::tokenizer_of;

TEST(Notes, ThinkBlocksAndTemplateThatDisagreeAreSaid) {
  const auto notes = [](const std::vector<Row>& rows, TemplateKind kind, std::optional<bool> thinking) {
    EncodeOptions options;
    options.template_kind = kind;
    options.enable_thinking = thinking;
    return encode_rows(rows_of(rows), tokenizer_of("qwen3"), options).report.notes;
  };
  const Row plain = question("q", "a"), thinking = question("q", "<think>\nhm\n</think>\n\na");
  using Kind = TemplateKind;
  EXPECT_THAT(notes({plain, thinking}, Kind::kToolkit, {}),
              Contains(HasSubstr("1 of 2 rows have think blocks, which")));
  EXPECT_TRUE(notes({plain}, Kind::kToolkit, {}).empty());
  EXPECT_THAT(notes({plain}, Kind::kQwen3, {}), Contains(HasSubstr("learns to answer without thinking")));
  EXPECT_THAT(notes({plain}, Kind::kQwen3, true), Contains(HasSubstr("though enable_thinking is true")));
  EXPECT_TRUE(notes({plain}, Kind::kQwen3, false).empty());
  EXPECT_TRUE(notes({thinking}, Kind::kQwen3, true).empty());
  EXPECT_THAT(notes({thinking}, Kind::kQwen3, false), Contains(HasSubstr("enable_thinking is false, but 1 of 1")));
  EXPECT_THAT(notes({plain, thinking}, Kind::kQwen3, {}),
              Contains(HasSubstr("1 of 2 rows have think blocks; in the others")));
  EXPECT_THAT(notes({conversation({thinking.messages[0], thinking.messages[1], {"user", "r"}, {"assistant", "b"}})},
                    Kind::kQwen3, {}),
              Contains(HasSubstr("1 think blocks stand in answers")));
}

TEST(Notes, EmptyAnswersAreCounted) {
  const Dataset dataset = encode_rows(rows_of({question("q", ""), question("r", "b")}), qwen(), {});
  EXPECT_EQ(num_targets(dataset.samples[0]), 1);
  EXPECT_THAT(dataset.report.notes, Contains(HasSubstr("1 answers are empty")));
}

TEST(Notes, SkippedRowsAreListed) {
  DataReport report;
  EXPECT_TRUE(notes_on_skipped(report.skipped).empty());
  for (int64_t line = 1; line <= 23; ++line) report.skipped.push_back({"rows.jsonl", line, "broken"});
  const std::vector<std::string> notes = notes_on_skipped(report.skipped);
  ASSERT_EQ(notes.size(), 21u);
  EXPECT_EQ(notes[4], "skipped rows.jsonl:5: broken");
  EXPECT_EQ(notes[20], "3 more rows were skipped");
  EXPECT_THAT(describe(report), HasSubstr("note: skipped rows.jsonl:5: broken\n"));
}

TEST(Describe, SaysEveryCountThatIsNotZero) {
  DataReport report;
  report.rows_read = 12345;
  report.rows_kept = 12000;
  report.tokens = 1000;
  report.trained_tokens = 250;
  EXPECT_THAT(describe(report), HasSubstr("rows: 12,345 read, 12,000 kept\n"));
  EXPECT_THAT(describe(report), HasSubstr("trained: 250 (25.0 %)"));
  report.rows_skipped = 1;
  report.rows_dropped = 2;
  report.rows_truncated = 3;
  report.tokens_cut = 4567;
  report.rows_without_labels = 5;
  report.rows_duplicated = 6;
  report.rows_held_out = 7;
  report.notes = {"something"};
  for (const char* part : {"1 skipped", "2 dropped", "3 cut (4,567 tokens lost)", "5 with nothing to train on",
                           "6 equal", "7 held out", "note: something"}) {
    EXPECT_THAT(describe(report), HasSubstr(part));
  }
}

TEST(ShowSample, TrainedTokensAreMarked) {
  const Row row = conversation({{"user", "one"}, {"assistant", "1"}, {"user", "二"}, {"assistant", "2"}});
  const Dataset dataset = encode_rows(rows_of({row}), qwen(), {});
  const Sample& sample = dataset.samples.at(0);
  EXPECT_EQ(show_sample(sample, qwen(), false),
            "<|im_start|>user\none<|im_end|>\n<|im_start|>assistant\n»1<|im_end|>«\n"
            "<|im_start|>user\n二<|im_end|>\n<|im_start|>assistant\n»2<|im_end|>«");
  EXPECT_THAT(show_sample(sample, qwen(), true), HasSubstr("\033[1;32m1<|im_end|>\033[0m"));
}

}  // namespace
}  // namespace lathe
