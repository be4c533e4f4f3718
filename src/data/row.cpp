#include "data/row.h"

#include <fmt/format.h>
#include <lathe/error.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/file.h"
#include "base/json.h"
#include "base/sha256.h"
#include "base/signals.h"
#include "data/data_files.h"
#include "data/readers.h"
#include "data/readers_format.h"
#include "data/unicode.h"

namespace lathe {
namespace {

Row parse_row(const RawRow& raw, const std::string& file, KeyCounts& unread) {
  const size_t valid = unicode::valid_utf8_prefix(raw.text);
  if (valid < raw.text.size()) {
    const int64_t line = raw.line + std::count(raw.text.begin(), raw.text.begin() + static_cast<int64_t>(valid), '\n');
    throw Error(ErrorKind::kData, fmt::format("the text is not UTF-8 (byte {} of the row)", valid + 1),
                {file, line, {}}, "save the file as UTF-8");
  }
  return row_from_json(parse_json(raw.text, file, raw.line), {file, raw.line, {}}, unread);
}

std::string reason(const Error& error) {
  const std::string& key = error.where().key;
  if (key.empty() || error.message().find("'" + key + "'") != std::string::npos) return error.message();
  return fmt::format("'{}': {}", key, error.message());
}

bool same_content(const Row& a, const Row& b) {
  return a.text == b.text &&
         std::equal(a.messages.begin(), a.messages.end(), b.messages.begin(), b.messages.end(),
                    [](const Message& x, const Message& y) { return x.role == y.role && x.content == y.content; });
}

size_t hash_content(const Row& row) {
  constexpr size_t kMix = 0x9E3779B97F4A7C15;
  const std::hash<std::string> hash;
  size_t mixed = hash(row.text);
  for (const Message& message : row.messages) {
    mixed = (mixed ^ hash(message.role)) * kMix;
    mixed = (mixed ^ hash(message.content)) * kMix;
  }
  return mixed;
}

int64_t count_duplicates(const std::vector<Row>& rows) {
  std::unordered_multimap<size_t, const Row*> seen;
  seen.reserve(rows.size());
  int64_t duplicates = 0;
  for (const Row& row : rows) {
    const size_t hash = hash_content(row);
    const auto [first, last] = seen.equal_range(hash);
    if (std::any_of(first, last, [&](const auto& entry) { return same_content(*entry.second, row); })) {
      ++duplicates;
    } else {
      seen.emplace(hash, &row);
    }
  }
  return duplicates;
}

std::string note_of_unread(const KeyCounts& unread) {
  constexpr size_t kShown = 8;
  std::vector<std::string> shown;
  for (const auto& [key, count] : unread) {
    if (shown.size() < kShown) shown.push_back(fmt::format("'{}' ({}x)", key, count));
  }
  const size_t more = unread.size() - shown.size();
  return fmt::format("keys of the rows that are not used: {}{}", fmt::join(shown, ", "),
                     more > 0 ? fmt::format(" and {} more", more) : "");
}

void read_file(const std::string& path, int32_t index, BadRowPolicy policy, RowsRead& read, KeyCounts& unread,
               Sha256& digest) {
  const std::shared_ptr<const MappedFile> file = MappedFile::open(path);
  digest_text(digest, file->text());
  for (const RawRow& raw : split_rows(file->text(), path)) {
    throw_if_stopped();
    try {
      Row row = parse_row(raw, path, unread);
      row.file = index;
      row.line = raw.line;
      read.rows.push_back(std::move(row));
    } catch (const Error& error) {
      if (policy == BadRowPolicy::kError || error.kind() != ErrorKind::kData) throw;
      read.skipped.push_back({path, raw.line, reason(error)});
    }
  }
}

}  // namespace

RowsRead read_rows(const std::vector<std::string>& paths, BadRowPolicy policy) {
  RowsRead read;
  read.files = paths;
  KeyCounts unread;
  Sha256 digest;
  for (size_t i = 0; i < paths.size(); ++i) {
    read_file(paths[i], static_cast<int32_t>(i), policy, read, unread, digest);
  }
  if (read.rows.empty()) {
    Where where{paths.empty() ? std::string() : paths.front(), 0, {}};
    if (read.skipped.empty())
      throw Error(ErrorKind::kData, "there are no rows", where, "give a file with at least one");
    const SkippedRow& first = read.skipped.front();
    where = {first.file, first.line, {}};
    throw Error(ErrorKind::kData,
                fmt::format("none of the {} rows is usable; the first: {}", read.skipped.size(), first.reason), where,
                "docs/data.md lists the formats");
  }
  read.duplicates = count_duplicates(read.rows);
  if (!unread.empty()) read.notes.push_back(note_of_unread(unread));
  read.fingerprint = digest.hex();
  return read;
}

}  // namespace lathe
