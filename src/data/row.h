#pragma once
// A row of the user's data, whatever format it came in.
#include <cstdint>
#include <string>
#include <vector>

#include "data/chat_template.h"

namespace lathe {

struct Row {
  std::vector<Message> messages;  ///< a conversation; empty for {"text"}
  std::string text;               ///< {"text"}: trained whole
  bool instruction_format =
      false;         ///< {"instruction","input","output"}: messages[0] holds both, joined as the toolkit does
  int32_t file = 0;  ///< index into the list of files
  int64_t line = 0;  ///< 1-based
};

enum class BadRowPolicy { kError, kSkip };

/// A bad row that was left out.
struct SkippedRow {
  std::string file;
  int64_t line;
  std::string reason;
};

struct RowsRead {
  std::vector<std::string> files;
  std::vector<Row> rows;
  std::vector<SkippedRow> skipped;  ///< with on_bad_row "skip"
  int64_t duplicates = 0;           ///< rows equal to an earlier one (kept; only counted)
  std::vector<std::string> notes;   ///< sentences for the user (keys that no format reads)
  std::string fingerprint;          ///< SHA-256 of the files' bytes, in order
};

/// Reads JSONL files (and .json arrays) in order. Formats: contract.md. Looks at stop requests as it goes.
/// @throws Error(kData) naming file:line for a missing file, broken JSON, text that is not UTF-8, a missing or
/// wrongly typed field, no rows at all.
[[nodiscard]] RowsRead read_rows(const std::vector<std::string>& paths, BadRowPolicy policy);

}  // namespace lathe
