#include "data/data_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace lathe {
namespace {

struct AnswerCounts {
  int64_t rows = 0;       ///< conversations
  int64_t thinking = 0;   ///< of them, with a think block in some answer
  int64_t forgotten = 0;  ///< think blocks in answers that another question follows
  int64_t empty_answers = 0;
};

bool has_think_block(const Message& message) {
  return message.role == "assistant" && message.content.find("</think>") != std::string::npos;
}

AnswerCounts count_answers(const std::vector<Row>& rows) {
  AnswerCounts counts;
  for (const Row& row : rows) {
    if (row.messages.empty()) continue;
    ++counts.rows;
    if (std::any_of(row.messages.begin(), row.messages.end(), has_think_block)) ++counts.thinking;
    bool question_follows = false;
    for (auto turn = row.messages.rbegin(); turn != row.messages.rend(); ++turn) {
      if (turn->role == "user") question_follows = true;
      if (turn->role == "assistant" && turn->content.empty()) ++counts.empty_answers;
      if (question_follows && has_think_block(*turn)) ++counts.forgotten;
    }
  }
  return counts;
}

void note_thinking(const AnswerCounts& counts, const EncodeOptions& options, std::vector<std::string>& notes) {
  if (options.template_kind != TemplateKind::kQwen3) {
    if (counts.thinking > 0) {
      notes.push_back(
          fmt::format("{} of {} rows have think blocks, which this template does not know: they are trained "
                      "as plain text (template=\"chat\" with a Qwen3 tokenizer knows them)",
                      counts.thinking, counts.rows));
    }
    return;
  }
  const bool off = options.enable_thinking.has_value() && !*options.enable_thinking;
  if (off && counts.thinking > 0) {
    notes.push_back(
        fmt::format("enable_thinking is false, but {} of {} rows have think blocks", counts.thinking, counts.rows));
  } else if (!off && counts.thinking == 0 && counts.rows > 0) {
    notes.push_back(
        fmt::format("none of {} rows has a think block: the template writes an empty one before the last "
                    "answer, and the model learns to answer without thinking{}",
                    counts.rows, options.enable_thinking ? ", though enable_thinking is true" : ""));
  } else if (!off && counts.thinking < counts.rows) {
    notes.push_back(fmt::format("{} of {} rows have think blocks; in the others the template writes an empty one",
                                counts.thinking, counts.rows));
  }
  if (counts.forgotten > 0) {
    notes.push_back(
        fmt::format("{} think blocks stand in answers that a later question follows: the template leaves them out",
                    counts.forgotten));
  }
}

/// "1,234,567"
std::string grouped(int64_t value) {
  std::string text = std::to_string(value);
  for (int64_t at = static_cast<int64_t>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<size_t>(at), 1, ',');
  return text;
}

std::string percent(int64_t part, int64_t whole) {
  return fmt::format("{:.1f} %", whole > 0 ? 100.0 * static_cast<double>(part) / static_cast<double>(whole) : 0.0);
}

}  // namespace

void measure_samples(const std::vector<Sample>& samples, DataReport& report) {
  report.rows_kept = static_cast<int64_t>(samples.size());
  report.rows_without_labels = report.tokens = report.trained_tokens = 0;
  report.shortest = report.median = report.p95 = report.longest = 0;
  std::vector<int64_t> lengths;
  lengths.reserve(samples.size());
  for (const Sample& sample : samples) {
    lengths.push_back(static_cast<int64_t>(sample.input_ids.size()));
    const int64_t targets = num_targets(sample);
    report.tokens += lengths.back();
    report.trained_tokens += targets;
    if (targets == 0) ++report.rows_without_labels;
  }
  if (lengths.empty()) return;
  std::sort(lengths.begin(), lengths.end());
  report.shortest = lengths.front();
  report.median = lengths[(lengths.size() - 1) / 2];
  report.p95 = lengths[static_cast<size_t>(std::ceil(0.95 * static_cast<double>(lengths.size()))) - 1];
  report.longest = lengths.back();
}

std::vector<std::string> notes_on_answers(const std::vector<Row>& rows, const EncodeOptions& options) {
  const AnswerCounts counts = count_answers(rows);
  std::vector<std::string> notes;
  note_thinking(counts, options, notes);
  if (counts.empty_answers > 0) {
    notes.push_back(fmt::format("{} answers are empty: only their end marker is trained", counts.empty_answers));
  }
  return notes;
}

std::vector<std::string> notes_on_skipped(const std::vector<SkippedRow>& skipped) {
  constexpr size_t kShown = 20;
  std::vector<std::string> notes;
  for (const SkippedRow& row : skipped) {
    if (notes.size() == kShown) {
      notes.push_back(fmt::format("{} more rows were skipped", skipped.size() - kShown));
      break;
    }
    notes.push_back(fmt::format("skipped {}:{}: {}", row.file, row.line, row.reason));
  }
  return notes;
}

std::string describe(const DataReport& report) {
  std::string text = fmt::format("rows: {} read, {} kept", grouped(report.rows_read), grouped(report.rows_kept));
  const auto add = [&text](int64_t count, const std::string& what) {
    if (count > 0) text += fmt::format(", {} {}", grouped(count), what);
  };
  add(report.rows_held_out, "held out for evaluation");
  add(report.rows_skipped, "skipped as unusable");
  add(report.rows_dropped, "dropped as too long");
  add(report.rows_truncated, fmt::format("cut ({} tokens lost)", grouped(report.tokens_cut)));
  add(report.rows_without_labels, "with nothing to train on");
  add(report.rows_duplicated, "equal to an earlier one (kept)");
  text +=
      fmt::format("\ntokens: {}, trained: {} ({}); a row has {} to {}, median {}, 95 % at most {}",
                  grouped(report.tokens), grouped(report.trained_tokens), percent(report.trained_tokens, report.tokens),
                  grouped(report.shortest), grouped(report.longest), grouped(report.median), grouped(report.p95));
  for (const std::string& note : report.notes) text += "\nnote: " + note;
  for (const std::string& note : notes_on_skipped(report.skipped)) text += "\nnote: " + note;
  return text;
}

std::string show_sample(const Sample& sample, const Tokenizer& tokenizer, bool colour) {
  const std::string open = colour ? "\033[1;32m" : "»", close = colour ? "\033[0m" : "«";
  std::string text;
  const size_t count = sample.input_ids.size();
  for (size_t begin = 0; begin < count;) {
    const bool trained = sample.labels[begin] != kIgnoreLabel;
    size_t end = begin;
    while (end < count && (sample.labels[end] != kIgnoreLabel) == trained) ++end;
    const std::string piece = tokenizer.decode(sample.input_ids.subspan(begin, end - begin));
    text += trained ? open + piece + close : piece;
    begin = end;
  }
  return text;
}

}  // namespace lathe
