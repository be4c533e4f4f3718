#pragma once
// Reads a tokenizer.json in one pass: its two long parts go into plain vectors, the rest becomes a Json.
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"

namespace lathe {

struct TokenizerJson {
  std::vector<std::pair<std::string, int32_t>> vocab;       ///< /model/vocab
  std::vector<std::pair<std::string, std::string>> merges;  ///< /model/merges, either spelling
  Json rest;                                                ///< everything else
};

/// @throws Error(kData) with file and line.
[[nodiscard]] TokenizerJson read_tokenizer_json(std::string_view text, const std::string& path);

}  // namespace lathe
