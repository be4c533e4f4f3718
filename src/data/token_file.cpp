#include "data/token_file.h"

#include <fmt/format.h>
#include <lathe/error.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "base/file.h"
#include "base/json.h"
#include "base/mapped_pages.h"
#include "base/sha256.h"
#include "base/signals.h"
#include "data/data_files.h"
#include "data/data_report.h"

namespace lathe {
namespace {

constexpr char kMagic[8] = {'L', 'A', 'T', 'H', 'E', 'T', 'O', 'K'};
constexpr uint32_t kVersion = 1;  ///< of this layout; what the rows depend on is the key's business
constexpr uint32_t kByteOrder = 0x01020304;

struct Counts {
  char magic[8];
  uint32_t version, byte_order;
  uint64_t rows, tokens, meta;  ///< meta: bytes
  uint64_t unused[3];
};
struct Header {
  Counts counts;
  char digest[64];  ///< of counts and of everything behind the header
};
struct RowEntry {
  uint64_t end;
  int64_t line;
  int32_t file, unused;
};
static_assert(sizeof(Header) == 128 && sizeof(RowEntry) == 24);

template <typename T>
std::string_view bytes_of(std::span<const T> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

std::string meta_of(const Dataset& dataset, const std::vector<std::string>& paths, const std::string& key) {
  const DataReport& report = dataset.report;
  Json skipped = Json::array();
  for (const SkippedRow& row : report.skipped) {
    const auto file = std::find(paths.begin(), paths.end(), row.file) - paths.begin();
    skipped.push_back(Json::array({file, row.line, row.reason}));
  }
  return dump_json(Json{{"key", key},
                        {"fingerprint", dataset.fingerprint},
                        {"rows_read", report.rows_read},
                        {"rows_truncated", report.rows_truncated},
                        {"rows_dropped", report.rows_dropped},
                        {"rows_duplicated", report.rows_duplicated},
                        {"tokens_cut", report.tokens_cut},
                        {"notes", report.notes},
                        {"skipped", skipped}});
}

/// Everything behind the header, in order, piece by piece.
template <typename Sink>
void for_each_piece(const std::vector<Sample>& samples, std::string_view meta, const Sink& sink) {
  uint64_t end = 0;
  for (const Sample& sample : samples) {
    throw_if_stopped();
    end += sample.input_ids.size();
    const RowEntry entry{end, sample.line, sample.file, 0};
    sink(bytes_of(std::span(&entry, 1)));
  }
  for (const Sample& sample : samples) sink(bytes_of(sample.input_ids));
  throw_if_stopped();
  for (const Sample& sample : samples) sink(bytes_of(sample.labels));
  sink(meta);
}

/// Collects small pieces for few system calls.
class BufferedFile {
 public:
  explicit BufferedFile(const std::string& path) : file_(path) { buffer_.reserve(kSize); }
  void write(std::string_view bytes) {
    if (buffer_.size() + bytes.size() > kSize) flush();
    bytes.size() > kSize ? file_.write(bytes) : void(buffer_.append(bytes));
  }
  void commit() {
    flush();
    file_.commit();
  }

 private:
  static constexpr size_t kSize = size_t{1} << 20;
  void flush() {
    throw_if_stopped();
    file_.write(std::string_view(buffer_));
    buffer_.clear();
  }
  AtomicFile file_;
  std::string buffer_;
};

/// The parts of a mapped file, once their lengths are known to add up.
struct Parts {
  Header header;
  std::span<const RowEntry> rows;
  std::span<const int32_t> ids, labels;
  std::string_view meta;
};

[[noreturn]] void damaged(const std::string& file, const std::string& what) {
  throw Error(ErrorKind::kData, what, {file, 0, {}});
}

Parts split(const MappedFile& mapped) {
  const std::string_view text = mapped.text();
  const std::string& path = mapped.path();
  Parts parts{};
  if (text.size() < sizeof(Header)) damaged(path, "the file ends in its header");
  std::memcpy(&parts.header, text.data(), sizeof(Header));
  const Counts& counts = parts.header.counts;
  if (std::memcmp(counts.magic, kMagic, sizeof kMagic) != 0) damaged(path, "it is no token file");
  if (counts.version != kVersion || counts.byte_order != kByteOrder) damaged(path, "it has another format");
  const uint64_t room = text.size() - sizeof(Header);
  const bool plausible = counts.rows <= room / sizeof(RowEntry) && counts.tokens <= room / 8 && counts.meta <= room;
  if (!plausible || counts.rows * sizeof(RowEntry) + counts.tokens * 8 + counts.meta != room) {
    damaged(path, fmt::format("it has {} bytes, its header speaks of others", text.size()));
  }
  const char* at = text.data() + sizeof(Header);
  parts.rows = {reinterpret_cast<const RowEntry*>(at), counts.rows};
  at += parts.rows.size_bytes();
  parts.ids = {reinterpret_cast<const int32_t*>(at), counts.tokens};
  at += parts.ids.size_bytes();
  parts.labels = {reinterpret_cast<const int32_t*>(at), counts.tokens};
  at += parts.labels.size_bytes();
  parts.meta = {at, counts.meta};
  return parts;
}

void check_digest(const MappedFile& mapped, const Header& header) {
  Sha256 digest;
  digest.update(mapped.text().substr(0, sizeof(Counts)));
  digest_text(digest, mapped.text().substr(sizeof(Header)));
  if (digest.hex() != std::string_view(header.digest, sizeof header.digest)) {
    damaged(mapped.path(), "its checksum does not match");
  }
}

void check_tokens(const Parts& parts, int64_t vocab_size, const std::string& path) {
  for (size_t i = 0; i < parts.ids.size(); ++i) {
    const int32_t id = parts.ids[i], label = parts.labels[i];
    if (id < 0 || id >= vocab_size) damaged(path, fmt::format("token {} is {}, outside of the vocabulary", i, id));
    if (label != id && label != kIgnoreLabel) damaged(path, fmt::format("the label of token {} is {}", i, label));
  }
}

void take_rows(const Parts& parts, size_t num_files, Dataset& dataset, const std::string& path) {
  uint64_t begin = 0;
  dataset.samples.reserve(parts.rows.size());
  for (const RowEntry& row : parts.rows) {
    const bool right = row.end > begin && row.end <= parts.ids.size() && row.file >= 0 && row.line >= 0 &&
                       static_cast<size_t>(row.file) < num_files;
    if (!right) damaged(path, fmt::format("row {} lies outside of the file", dataset.samples.size()));
    const uint64_t length = row.end - begin;
    dataset.samples.push_back(
        {parts.ids.subspan(begin, length), parts.labels.subspan(begin, length), row.file, row.line});
    begin = row.end;
  }
  if (begin != parts.ids.size() || dataset.samples.empty()) damaged(path, "rows and tokens do not add up");
}

void take_meta(const Parts& parts, const std::vector<std::string>& paths, const std::string& key, Dataset& dataset,
               const std::string& path) {
  const Json meta = parse_json(parts.meta, path);
  try {
    if (meta.at("key").get<std::string>() != key) damaged(path, "it was made for something else");
    meta.at("fingerprint").get_to(dataset.fingerprint);
    DataReport& report = dataset.report;
    meta.at("rows_read").get_to(report.rows_read);
    meta.at("rows_truncated").get_to(report.rows_truncated);
    meta.at("rows_dropped").get_to(report.rows_dropped);
    meta.at("rows_duplicated").get_to(report.rows_duplicated);
    meta.at("tokens_cut").get_to(report.tokens_cut);
    meta.at("notes").get_to(report.notes);
    for (const Json& row : meta.at("skipped")) {
      report.skipped.push_back(
          {paths.at(row.at(0).get<size_t>()), row.at(1).get<int64_t>(), row.at(2).get<std::string>()});
    }
    report.rows_skipped = static_cast<int64_t>(report.skipped.size());
  } catch (const std::exception& error) {  // of the JSON library, or an index that is too large
    if (dynamic_cast<const Error*>(&error) != nullptr) throw;
    damaged(path, fmt::format("its counts cannot be read ({})", error.what()));
  }
}

}  // namespace

void write_token_file(const std::string& file, const Dataset& dataset, const std::vector<std::string>& paths,
                      const std::string& key) {
  const std::string meta = meta_of(dataset, paths, key);
  Header header{};
  std::memcpy(header.counts.magic, kMagic, sizeof kMagic);
  header.counts.version = kVersion;
  header.counts.byte_order = kByteOrder;
  header.counts.rows = dataset.samples.size();
  for (const Sample& sample : dataset.samples) header.counts.tokens += sample.input_ids.size();
  header.counts.meta = meta.size();
  Sha256 digest;
  digest.update(bytes_of(std::span<const Counts>(&header.counts, 1)));
  for_each_piece(dataset.samples, meta, [&](std::string_view piece) { digest.update(piece); });
  const std::string hex = digest.hex();
  std::memcpy(header.digest, hex.data(), sizeof header.digest);

  BufferedFile out(file);
  out.write(bytes_of(std::span<const Header>(&header, 1)));
  for_each_piece(dataset.samples, meta, [&](std::string_view piece) { out.write(piece); });
  out.commit();
}

Dataset map_token_file(const std::string& file, const std::vector<std::string>& paths, const std::string& key,
                       int64_t vocab_size) {
  const std::shared_ptr<const MappedFile> mapped = MappedFile::open(file);
  const Parts parts = split(*mapped);
  check_digest(*mapped, parts.header);
  check_tokens(parts, vocab_size, file);
  Dataset dataset;
  take_meta(parts, paths, key, dataset, file);
  take_rows(parts, paths.size(), dataset, file);
  measure_samples(dataset.samples, dataset.report);
  give_back_pages(mapped->bytes());
  dataset.storage = mapped;
  return dataset;
}

}  // namespace lathe
