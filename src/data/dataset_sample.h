#pragma once
// One row to ids and labels, cut to length.
#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace lathe {

struct EncodedRow {
  std::vector<int32_t> input_ids, labels;
  int32_t file = 0;
  int64_t line = 0;
  int64_t full_tokens = 0;   ///< before cutting
  int64_t full_targets = 0;  ///< before cutting
  int64_t least_max_length =
      0;  ///< the smallest max_seq_length that leaves a target, cut on the same side; 0: none does
  [[nodiscard]] bool overlong() const { return full_tokens > static_cast<int64_t>(input_ids.size()); }
  [[nodiscard]] Sample view() const { return {input_ids, labels, file, line}; }
};

/// @param file named in errors. @throws Error(kData) with file and line (roles or text that the template cannot take).
[[nodiscard]] EncodedRow encode_row(const Row& row, const std::string& file, const Tokenizer& tokenizer,
                                    const EncodeOptions& options);

/// Makes the rows dataset's samples, their tokens end to end in one piece of memory.
void lay_out(std::vector<EncodedRow> rows, Dataset& dataset);

}  // namespace lathe
