#include "data/data_files.h"

#include <memory>

#include "base/file.h"
#include "base/signals.h"

namespace lathe {

void digest_text(Sha256& digest, std::string_view text) {
  constexpr size_t kPiece = size_t{16} << 20;  // a stop request waits for no more than this
  for (size_t at = 0; at < text.size(); at += kPiece) {
    throw_if_stopped();
    digest.update(text.substr(at, kPiece));
  }
}

DataFiles fingerprint_files(const std::vector<std::string>& paths) {
  DataFiles files;
  Sha256 digest;
  for (const std::string& path : paths) {
    const std::shared_ptr<const MappedFile> file = MappedFile::open(path);
    files.sizes.push_back(static_cast<int64_t>(file->text().size()));
    digest_text(digest, file->text());
  }
  files.fingerprint = digest.hex();
  return files;
}

}  // namespace lathe
