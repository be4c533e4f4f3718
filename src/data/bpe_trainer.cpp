#include "data/bpe_trainer.h"

#include <algorithm>
#include <map>
#include <queue>
#include <unordered_map>

#include "base/signals.h"
#include "data/tokenizer_file.h"
#include "data/tokenizer_impl.h"
#include "data/tokenizer_split.h"

namespace lathe {
namespace {

struct Word {
  std::vector<int32_t> ids;
  int64_t count;
};

using Pair = std::pair<int32_t, int32_t>;

struct PairHash {
  size_t operator()(const Pair& pair) const {
    const uint64_t both =
        static_cast<uint64_t>(static_cast<uint32_t>(pair.first)) << 32 | static_cast<uint32_t>(pair.second);
    return static_cast<size_t>(both * 0x9E3779B97F4A7C15ULL >> 16);
  }
};

/// Ids of the bytes in the order of their characters, as published vocabularies have them ("!" is 0).
std::vector<int32_t> byte_ids(std::vector<std::string>& tokens) {
  std::vector<std::pair<std::string, int>> order;
  for (int byte = 0; byte < 256; ++byte) order.emplace_back(byte_to_alphabet(static_cast<unsigned char>(byte)), byte);
  std::sort(order.begin(), order.end());
  std::vector<int32_t> ids(256);
  for (const auto& [token, byte] : order) {
    ids[static_cast<size_t>(byte)] = static_cast<int32_t>(tokens.size());
    tokens.push_back(token);
  }
  return ids;
}

std::vector<Word> count_words(const std::vector<std::string>& texts, const std::vector<int32_t>& ids) {
  std::map<std::string, int64_t, std::less<>> counts;
  for (const std::string& text : texts) {
    require_utf8(text);
    const std::string normalised = unicode::nfc(text);
    SplitScanner scanner(SplitPattern::kQwen, normalised.data(), normalised.data() + normalised.size());
    for (std::string_view piece = scanner.next(); !piece.empty(); piece = scanner.next()) {
      const auto found = counts.find(piece);
      if (found != counts.end()) {
        ++found->second;
      } else {
        counts.emplace(piece, 1);
      }
    }
  }
  std::vector<Word> words;
  for (const auto& [piece, count] : counts) {
    Word word{{}, count};
    for (const char c : piece) word.ids.push_back(ids[static_cast<unsigned char>(c)]);
    words.push_back(std::move(word));
  }
  return words;
}

/// Pairs with their counts, the words they occur in, and which is next.
class PairCounts {
 public:
  explicit PairCounts(std::vector<Word> words) : words_(std::move(words)) {
    for (size_t i = 0; i < words_.size(); ++i) count(i, 1, true);
    for (const auto& [pair, entry] : pairs_) queue_.push({entry.count, pair});
  }

  /// The most frequent pair; a count below 2 when there is none left.
  std::pair<int64_t, Pair> next() {
    while (!queue_.empty()) {
      const Candidate top = queue_.top();
      queue_.pop();
      const int64_t now = pairs_[top.pair].count;
      if (now == top.count) return {now, top.pair};
      if (now > 0) queue_.push({now, top.pair});  // it has lost occurrences since it was queued
    }
    return {0, {}};
  }

  void merge(Pair pair, int32_t merged) {
    std::vector<size_t> places;
    places.swap(pairs_[pair].words);
    touched_.clear();
    for (const size_t i : places) {
      std::vector<int32_t>& ids = words_[i].ids;
      if (!contains(ids, pair)) continue;
      count(i, -1, false);
      replace(ids, pair, merged);
      count(i, 1, false, merged);
    }
    std::sort(touched_.begin(), touched_.end());
    touched_.erase(std::unique(touched_.begin(), touched_.end()), touched_.end());
    for (const Pair& one : touched_) queue_.push({pairs_[one].count, one});
  }

 private:
  struct Entry {
    int64_t count = 0;
    std::vector<size_t> words;
  };
  struct Candidate {
    int64_t count;
    Pair pair;
    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };

  static bool contains(const std::vector<int32_t>& ids, Pair pair) {
    return std::adjacent_find(ids.begin(), ids.end(), [&](int32_t a, int32_t b) { return Pair(a, b) == pair; }) !=
           ids.end();
  }

  static void replace(std::vector<int32_t>& ids, Pair pair, int32_t merged) {
    size_t kept = 0;
    for (size_t i = 0; i < ids.size(); ++kept) {
      const bool here = i + 1 < ids.size() && Pair(ids[i], ids[i + 1]) == pair;
      ids[kept] = here ? merged : ids[i];
      i += here ? 2 : 1;
    }
    ids.resize(kept);
  }

  /// Adds a word's pairs, sign times. Places are noted for all pairs, or for those that hold `fresh`.
  void count(size_t index, int64_t sign, bool all_places, int32_t fresh = -1) {
    const Word& word = words_[index];
    for (size_t k = 0; k + 1 < word.ids.size(); ++k) {
      const Pair pair(word.ids[k], word.ids[k + 1]);
      Entry& entry = pairs_[pair];
      entry.count += sign * word.count;
      const bool is_fresh = fresh >= 0 && (pair.first == fresh || pair.second == fresh);
      if ((all_places || is_fresh) && (entry.words.empty() || entry.words.back() != index))
        entry.words.push_back(index);
      if (is_fresh) touched_.push_back(pair);
    }
  }

  std::vector<Word> words_;
  std::unordered_map<Pair, Entry, PairHash> pairs_;
  std::priority_queue<Candidate> queue_;
  std::vector<Pair> touched_;
};

}  // namespace

TrainedBpe train_bpe(const std::vector<std::string>& texts, int64_t num_tokens) {
  TrainedBpe trained;
  const std::vector<int32_t> ids = byte_ids(trained.tokens);
  PairCounts pairs(count_words(texts, ids));
  while (static_cast<int64_t>(trained.tokens.size()) < num_tokens) {
    throw_if_stopped();
    const auto [occurrences, pair] = pairs.next();
    if (occurrences < 2) break;
    const std::string& left = trained.tokens[static_cast<size_t>(pair.first)];
    const std::string& right = trained.tokens[static_cast<size_t>(pair.second)];
    const auto merged = static_cast<int32_t>(trained.tokens.size());
    std::string joined = left + right;
    trained.merges.emplace_back(left, right);
    trained.tokens.push_back(std::move(joined));
    pairs.merge(pair, merged);
  }
  return trained;
}

}  // namespace lathe
