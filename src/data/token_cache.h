#pragma once
// Rows are tokenised once: later runs map what the first one left (docs/data.md, "Token cache").
#include <lathe/tokenizer.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/data_files.h"
#include "data/dataset.h"
#include "data/row.h"

namespace lathe {

/// A folder of token files, each named after its key. Several processes may use one folder at once. Not for several
/// threads.
class TokenCache {
 public:
  static constexpr int64_t kMostBytes = int64_t{4} << 30;

  /// @param folder made when something is kept; "": there is none, and keep() says so.  @param overwrite find nothing.
  /// @param most_bytes beyond this the files that were not used for longest go.
  explicit TokenCache(std::string folder, bool overwrite = false, int64_t most_bytes = kMostBytes);
  /// LATHE_CACHE_DIR, else XDG_CACHE_HOME/lathe, else HOME/.cache/lathe; "" when none of them is set.
  [[nodiscard]] static std::string default_folder();

  /// What was kept under key, and says from where. A damaged file is named and removed. @param paths the data files
  [[nodiscard]] std::optional<Dataset> find(const std::string& key, const std::vector<std::string>& paths,
                                            int64_t vocab_size) const;
  /// Keeps dataset and returns it mapped; where that cannot be done says so, once, and returns it as it is.
  [[nodiscard]] Dataset keep(Dataset dataset, const std::string& key, const std::vector<std::string>& paths,
                             int64_t vocab_size);

 private:
  [[nodiscard]] std::string file_of(const std::string& key) const;
  void prune(const std::string& kept) const;

  std::string folder_;
  bool overwrite_;
  int64_t most_bytes_;
  bool complained_ = false;
};

/// Everything that the tokens and the report of these files depend on, this program included, as text. @param data of
/// paths
[[nodiscard]] std::string token_cache_key(const DataFiles& data, const std::vector<std::string>& paths,
                                          BadRowPolicy policy, const Tokenizer& tokenizer,
                                          const EncodeOptions& options);

/// read_rows and encode_rows, or what the cache has of an earlier time. @throws as those two.
[[nodiscard]] Dataset read_dataset(const std::vector<std::string>& paths, BadRowPolicy policy,
                                   const Tokenizer& tokenizer, const EncodeOptions& options, TokenCache& cache);

}  // namespace lathe
