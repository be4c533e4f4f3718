#pragma once
// One row to ids and labels, cut to length.
#include <cstdint>

#include "data/dataset.h"

namespace lathe {

struct EncodedRow {
  Sample sample;
  int64_t full_tokens = 0;   ///< before cutting
  int64_t full_targets = 0;  ///< before cutting
  int64_t least_max_length =
      0;  ///< the smallest max_seq_length that leaves a target, cut on the same side; 0: none does
  [[nodiscard]] bool overlong() const { return full_tokens > static_cast<int64_t>(sample.input_ids.size()); }
};

/// @param file named in errors. @throws Error(kData) with file and line (roles or text that the template cannot take).
[[nodiscard]] EncodedRow encode_row(const Row& row, const std::string& file, const Tokenizer& tokenizer,
                                    const EncodeOptions& options);

}  // namespace lathe
