#pragma once
// A tokenised dataset as one file that is mapped, not read (docs/data.md, "Token cache").
//
//     header   128 bytes: magic, format version, byte order, counts, SHA-256 of all other bytes
//     rows     24 bytes each: where its tokens end, line, file
//     ids      int32 [tokens]
//     labels   int32 [tokens]
//     meta     JSON: the key it was made under, fingerprint of the data, counts and notes
#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace lathe {

/// @param paths the data files, in order; their names are not kept.  @param key what the rows depend on.
/// @throws Error(kIo), Error(kInterrupted). Written beside, synced, renamed.
void write_token_file(const std::string& file, const Dataset& dataset, const std::vector<std::string>& paths,
                      const std::string& key);

/// The dataset, its samples views of the mapped file. Everything is checked: lengths, checksum, key, every index.
/// @param vocab_size ids are below it.  @throws Error(kData) that says what is wrong with the file.
[[nodiscard]] Dataset map_token_file(const std::string& file, const std::vector<std::string>& paths,
                                     const std::string& key, int64_t vocab_size);

}  // namespace lathe
