#pragma once
// Byte-pair merging: pieces of bytes to token ids, by the rank of the merges.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

/// What two neighbouring tokens become; a lower rank is merged first.
struct Merge {
  int32_t left, right, merged;
};

/// Immutable once built; safe for several threads (each keeps a small cache of pieces it has seen).
class Bpe {
 public:
  /// @param byte_ids the token of each byte.  @param merges in order of rank; of two for the same pair the later
  /// counts.
  Bpe(const std::vector<int32_t>& byte_ids, const std::vector<Merge>& merges);

  /// Appends the ids of one piece. @param readable_end bytes up to here may be read (a little past the piece).
  void encode(std::string_view piece, const char* readable_end, std::vector<int32_t>& ids) const;

 private:
  static constexpr uint32_t kNoRank = UINT32_MAX;
  struct Found {
    uint32_t rank;
    int32_t merged;
  };
  struct Slot {
    uint64_t pair;
    uint32_t rank;
    int32_t merged;
  };
  struct Work;

  [[nodiscard]] Found find(int32_t left, int32_t right) const;
  void insert(const Merge& merge, uint32_t rank);
  void merge_piece(std::string_view piece, std::vector<int32_t>& ids) const;
  void merge_short(std::string_view piece, std::vector<int32_t>& ids) const;
  void merge_long(std::string_view piece, std::vector<int32_t>& ids) const;

  std::vector<Slot> slots_;  ///< open addressing, a power of two
  uint64_t mask_ = 0;
  int shift_ = 0;
  int32_t byte_ids_[256];
  std::vector<Found> byte_pairs_;  ///< [256*256] the merge of two bytes, without hashing
  uint64_t cache_key_;             ///< tells this table's cached pieces from another's
};

}  // namespace lathe
