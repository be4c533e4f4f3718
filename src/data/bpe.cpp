#include "data/bpe.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <limits>
#include <memory>
#include <queue>

namespace lathe {
namespace {

constexpr uint64_t kEmpty = UINT64_MAX;
constexpr size_t kShortPiece = 96;  // up to here a scan for the lowest rank beats a heap
constexpr size_t kCachedBytes = 24, kCachedIds = 8;

uint64_t pair_of(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

uint64_t mix(uint64_t x) {
  return x * 0x9E3779B97F4A7C15ULL;
}

/// A piece of at most kCachedBytes as three words, zeros behind it.
using Words = std::array<uint64_t, 3>;

Words words_of(std::string_view piece, const char* readable_end) {
  Words words{};
  if (static_cast<size_t>(readable_end - piece.data()) < kCachedBytes) {
    std::memcpy(words.data(), piece.data(), piece.size());
    return words;
  }
  std::memcpy(words.data(), piece.data(), kCachedBytes);
  for (size_t i = 0; i < 3; ++i) {
    const size_t begin = i * 8;
    if (piece.size() <= begin) {
      words[i] = 0;
    } else if (piece.size() < begin + 8) {
      words[i] &= (uint64_t{1} << (piece.size() - begin) * 8) - 1;
    }
  }
  return words;
}

/// A direct-mapped cache of one thread: a piece met again costs one look. 64 bytes an entry, 1 MiB in all.
struct CacheEntry {
  Words words;
  uint64_t owner_and_size;  ///< cache key * 256 + size * 16 + ids; 0: empty
  std::array<int32_t, kCachedIds> ids;
};
static_assert(sizeof(CacheEntry) == 64);
constexpr int kCacheBits = 14;

CacheEntry* thread_cache() {
  thread_local const std::unique_ptr<CacheEntry[]> cache = std::make_unique<CacheEntry[]>(size_t{1} << kCacheBits);
  return cache.get();
}

static_assert(std::endian::native == std::endian::little, "words_of masks the high bytes of little-endian words");

}  // namespace

Bpe::Bpe(const std::vector<int32_t>& byte_ids, const std::vector<Merge>& merges)
    : byte_pairs_(size_t{256} * 256, Found{kNoRank, 0}) {
  static std::atomic<uint64_t> next_key{1};
  cache_key_ = next_key.fetch_add(1);
  std::copy(byte_ids.begin(), byte_ids.end(), byte_ids_);
  const size_t size = std::bit_ceil(std::max<size_t>(merges.size() * 2, 16));
  slots_.assign(size, Slot{kEmpty, kNoRank, 0});
  mask_ = size - 1;
  shift_ = 64 - std::countr_zero(size);
  for (size_t i = 0; i < merges.size(); ++i) insert(merges[i], static_cast<uint32_t>(i));
  for (size_t pair = 0; pair < byte_pairs_.size(); ++pair) {
    byte_pairs_[pair] = find(byte_ids_[pair >> 8], byte_ids_[pair & 255]);
  }
}

void Bpe::insert(const Merge& merge, uint32_t rank) {
  const uint64_t pair = pair_of(merge.left, merge.right);
  uint64_t at = mix(pair) >> shift_;
  while (slots_[at].pair != kEmpty && slots_[at].pair != pair) at = (at + 1) & mask_;
  slots_[at] = {pair, rank, merge.merged};
}

Bpe::Found Bpe::find(int32_t left, int32_t right) const {
  const uint64_t pair = pair_of(left, right);
  for (uint64_t at = mix(pair) >> shift_;; at = (at + 1) & mask_) {
    if (slots_[at].pair == pair) return {slots_[at].rank, slots_[at].merged};
    if (slots_[at].pair == kEmpty) return {kNoRank, 0};
  }
}

void Bpe::encode(std::string_view piece, const char* readable_end, std::vector<int32_t>& ids) const {
  if (piece.size() == 1) {
    ids.push_back(byte_ids_[static_cast<unsigned char>(piece[0])]);
    return;
  }
  if (piece.size() > kCachedBytes) {
    merge_piece(piece, ids);
    return;
  }
  const Words words = words_of(piece, readable_end);
  const uint64_t hash = mix(words[0] ^ mix(words[1] ^ mix(words[2])) >> 7 ^ piece.size());
  CacheEntry& entry = thread_cache()[hash >> (64 - kCacheBits)];
  const uint64_t owner = cache_key_ << 8 | piece.size() << 3;
  if (entry.words == words && (entry.owner_and_size & ~uint64_t{7}) == owner) {
    const auto count = static_cast<ptrdiff_t>((entry.owner_and_size & 7) + 1);
    ids.insert(ids.end(), entry.ids.begin(), entry.ids.begin() + count);
    return;
  }
  const size_t before = ids.size();
  merge_piece(piece, ids);
  const size_t count = ids.size() - before;
  if (count > kCachedIds) return;
  entry.words = words;
  entry.owner_and_size = owner | (count - 1);
  std::copy(ids.begin() + static_cast<ptrdiff_t>(before), ids.end(), entry.ids.begin());
}

void Bpe::merge_piece(std::string_view piece, std::vector<int32_t>& ids) const {
  if (piece.size() <= kShortPiece) {
    merge_short(piece, ids);
  } else {
    merge_long(piece, ids);
  }
}

void Bpe::merge_short(std::string_view piece, std::vector<int32_t>& ids) const {
  int32_t tokens[kShortPiece];
  Found next[kShortPiece];  // the merge of tokens i and i+1
  size_t size = piece.size();
  for (size_t i = 0; i < size; ++i) tokens[i] = byte_ids_[static_cast<unsigned char>(piece[i])];
  for (size_t i = 0; i + 1 < size; ++i) {
    next[i] = byte_pairs_[static_cast<size_t>(static_cast<unsigned char>(piece[i])) << 8 |
                          static_cast<unsigned char>(piece[i + 1])];
  }
  while (size > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < size; ++i) {
      if (next[i].rank < next[best].rank) best = i;
    }
    if (next[best].rank == kNoRank) break;
    tokens[best] = next[best].merged;
    std::move(tokens + best + 2, tokens + size, tokens + best + 1);
    if (best + 2 < size) std::move(next + best + 1, next + size - 1, next + best);
    --size;
    if (best + 1 < size) next[best] = find(tokens[best], tokens[best + 1]);
    if (best > 0) next[best - 1] = find(tokens[best - 1], tokens[best]);
  }
  ids.insert(ids.end(), tokens, tokens + size);
}

void Bpe::merge_long(std::string_view piece, std::vector<int32_t>& ids) const {
  constexpr uint32_t kNone = UINT32_MAX;
  struct Node {
    int32_t token;
    uint32_t previous, following;
    Found next;  // the merge with the following node
  };
  const auto size = static_cast<uint32_t>(piece.size());
  std::vector<Node> nodes(size);
  std::vector<uint64_t> first;  // rank, then place: the order in which merges happen
  first.reserve(size);
  for (uint32_t i = 0; i < size; ++i) {
    const auto byte = static_cast<unsigned char>(piece[i]);
    const bool last = i + 1 == size;
    const Found next = last ? Found{kNoRank, 0}
                            : byte_pairs_[static_cast<size_t>(byte) << 8 | static_cast<unsigned char>(piece[i + 1])];
    nodes[i] = {byte_ids_[byte], i == 0 ? kNone : i - 1, last ? kNone : i + 1, next};
    if (next.rank != kNoRank) first.push_back(static_cast<uint64_t>(next.rank) << 32 | i);
  }
  std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> queue(std::greater<>{}, std::move(first));
  const auto renew = [&](uint32_t i) {
    Node& node = nodes[i];
    node.next = node.following == kNone ? Found{kNoRank, 0} : find(node.token, nodes[node.following].token);
    if (node.next.rank != kNoRank) queue.push(static_cast<uint64_t>(node.next.rank) << 32 | i);
  };
  while (!queue.empty()) {
    const auto rank = static_cast<uint32_t>(queue.top() >> 32), at = static_cast<uint32_t>(queue.top());
    queue.pop();
    Node& node = nodes[at];
    if (node.next.rank != rank) continue;  // one of the two was merged meanwhile
    Node& gone = nodes[node.following];
    node.token = node.next.merged;
    node.following = gone.following;
    gone.next.rank = kNoRank;
    if (node.following != kNone) nodes[node.following].previous = at;
    renew(at);
    if (node.previous != kNone) renew(node.previous);
  }
  for (uint32_t i = 0; i != kNone; i = nodes[i].following) ids.push_back(nodes[i].token);
}

}  // namespace lathe
