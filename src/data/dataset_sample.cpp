#include "data/dataset_sample.h"

#include <lathe/error.h>

#include <algorithm>
#include <utility>

#include "data/encode_segments.h"

namespace lathe {
namespace {

/// Text rows are trained whole and end with the end-of-text token, once.
EncodedSegments encode_text(const std::string& text, const Tokenizer& tokenizer) {
  EncodedSegments encoded = encode_segments(tokenizer, {{.text = text, .trained = true, .markup = true}});
  const std::optional<int32_t> eos = tokenizer.eos_id();
  if (eos && (encoded.ids.empty() || encoded.ids.back() != *eos)) {
    encoded.ids.push_back(*eos);
    encoded.trained.push_back(1);
  }
  return encoded;
}

EncodedSegments encode(const Row& row, const Tokenizer& tokenizer, const EncodeOptions& options) {
  if (row.messages.empty()) return encode_text(row.text, tokenizer);
  TemplateOptions template_options;
  template_options.enable_thinking = options.enable_thinking;
  return encode_segments(tokenizer, render(options.template_kind, row.messages, template_options));
}

/// The smallest length that, cut on that side, leaves a label which is some token's target.
int64_t least_max_length(const std::vector<int32_t>& labels, TruncationSide side) {
  const auto trained = [](int32_t label) { return label != kIgnoreLabel; };
  if (labels.empty()) return 0;
  if (side == TruncationSide::kRight) {
    const auto first = std::find_if(labels.begin() + 1, labels.end(), trained);
    return first == labels.end() ? 0 : first - labels.begin() + 1;
  }
  const auto last = std::find_if(labels.rbegin(), labels.rend() - 1, trained);
  return last == labels.rend() - 1 ? 0 : last - labels.rbegin() + 2;
}

template <typename T>
void cut(std::vector<T>& values, size_t length, TruncationSide side) {
  if (side == TruncationSide::kRight) {
    values.resize(length);
  } else {
    values.erase(values.begin(), values.end() - static_cast<int64_t>(length));
  }
}

}  // namespace

int64_t num_targets(const Sample& sample) {
  if (sample.labels.empty()) return 0;
  return std::count_if(sample.labels.begin() + 1, sample.labels.end(), [](int32_t id) { return id != kIgnoreLabel; });
}

EncodedRow encode_row(const Row& row, const std::string& file, const Tokenizer& tokenizer,
                      const EncodeOptions& options) {
  EncodedSegments encoded;
  try {
    encoded = encode(row, tokenizer, options);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kData || !error.where().file.empty()) throw;
    throw Error(ErrorKind::kData, error.message(), {file, row.line, error.where().key}, error.hint());
  }
  if (encoded.ids.empty()) throw Error(ErrorKind::kData, "the row has no tokens", {file, row.line, {}});
  EncodedRow result;
  result.file = row.file;
  result.line = row.line;
  result.labels = encoded.ids;
  for (size_t i = 0; i < encoded.ids.size(); ++i) {
    if (encoded.trained[i] == 0 && !options.train_on_prompt) result.labels[i] = kIgnoreLabel;
  }
  result.input_ids = std::move(encoded.ids);
  result.full_tokens = static_cast<int64_t>(result.input_ids.size());
  result.full_targets = num_targets(result.view());
  result.least_max_length = least_max_length(result.labels, options.truncation_side);
  if (result.full_tokens > options.max_seq_length) {
    cut(result.input_ids, static_cast<size_t>(options.max_seq_length), options.truncation_side);
    cut(result.labels, static_cast<size_t>(options.max_seq_length), options.truncation_side);
  }
  return result;
}

void lay_out(std::vector<EncodedRow> rows, Dataset& dataset) {
  struct Tokens {
    std::vector<int32_t> ids, labels;
  };
  size_t total = 0;
  for (const EncodedRow& row : rows) total += row.input_ids.size();
  const auto tokens = std::make_shared<Tokens>();
  tokens->ids.reserve(total);  // so that no view moves
  tokens->labels.reserve(total);
  dataset.samples.clear();
  dataset.samples.reserve(rows.size());
  for (EncodedRow& each : rows) {
    const EncodedRow row = std::move(each);  // its own memory goes at once
    const size_t begin = tokens->ids.size(), length = row.input_ids.size();
    tokens->ids.insert(tokens->ids.end(), row.input_ids.begin(), row.input_ids.end());
    tokens->labels.insert(tokens->labels.end(), row.labels.begin(), row.labels.end());
    dataset.samples.push_back(
        {{tokens->ids.data() + begin, length}, {tokens->labels.data() + begin, length}, row.file, row.line});
  }
  dataset.storage = tokens;
}

}  // namespace lathe
