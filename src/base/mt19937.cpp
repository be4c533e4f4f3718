#include "base/mt19937.h"

#include <lathe/error.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace lathe {
namespace {

// Matsumoto & Nishimura 1998, MT19937.
constexpr size_t kWords = 624, kShift = 397;
constexpr uint32_t kMatrix = 0x9908b0df, kUpper = 0x80000000, kLower = 0x7fffffff;

uint32_t twisted(uint32_t word, uint32_t next, uint32_t shifted) {
  const uint32_t y = (word & kUpper) | (next & kLower);
  return shifted ^ (y >> 1) ^ (-(y & 1) & kMatrix);
}

uint32_t tempered(uint32_t y) {
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680;
  y ^= (y << 15) & 0xefc60000;
  return y ^ (y >> 18);
}

}  // namespace

Mt19937::Mt19937(uint64_t seed) {
  words_[0] = static_cast<uint32_t>(seed);
  for (uint32_t i = 1; i < kWords; ++i) {
    words_[i] = 1812433253U * (words_[i - 1] ^ (words_[i - 1] >> 30)) + i;
  }
}

// Two loops in which nothing wraps around: the compiler makes vectors of them. An adapter of 50 million values waits
// for three times as many words at each start.
void Mt19937::refill() {
  constexpr size_t kWrap = kWords - kShift;
  for (size_t i = 0; i < kWrap; ++i) words_[i] = twisted(words_[i], words_[i + 1], words_[i + kShift]);
  for (size_t i = kWrap; i + 1 < kWords; ++i) words_[i] = twisted(words_[i], words_[i + 1], words_[i - kWrap]);
  words_.back() = twisted(words_.back(), words_.front(), words_[kShift - 1]);
  position_ = 0;
}

uint32_t Mt19937::next() {
  if (position_ == kWords) refill();
  return tempered(words_[position_++]);
}

void Mt19937::discard(uint64_t count) {
  while (count > 0) {
    if (position_ == kWords) refill();
    const uint64_t step = std::min<uint64_t>(count, kWords - position_);
    position_ += static_cast<uint32_t>(step);
    count -= step;
  }
}

void Mt19937::uniform(float* out, int64_t count, double low, double high) {
  const auto from = static_cast<float>(low), to = static_cast<float>(high);
  while (count > 0) {
    if (position_ == kWords) refill();
    const int64_t step = std::min<int64_t>(count, kWords - position_);
    const uint32_t* words = words_.data() + position_;
    for (int64_t i = 0; i < step; ++i) out[i] = static_cast<float>(static_cast<int32_t>(tempered(words[i]) & 0xffffff));
    for (int64_t i = 0; i < step; ++i) {
      out[i] = std::fma(out[i] * 0x1p-24F, to - from, from);  // torch's kernel is compiled with contraction
    }
    position_ += static_cast<uint32_t>(step);
    out += step, count -= step;
  }
}

std::vector<uint32_t> Mt19937::state() const {
  std::vector<uint32_t> state(words_.begin(), words_.end());
  state.push_back(position_);
  return state;
}

void Mt19937::set_state(const std::vector<uint32_t>& state) {
  LATHE_ASSERT(state.size() == kWords + 1 && state.back() <= kWords);
  std::copy_n(state.begin(), kWords, words_.begin());
  position_ = state.back();
}

std::vector<int64_t> random_permutation(int64_t count, Mt19937& generator) {
  LATHE_ASSERT(count >= 0 && count < (int64_t{1} << 32) / 20);
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  for (size_t i = 0; i + 1 < order.size(); ++i) {
    std::swap(order[i], order[i + generator.next() % (order.size() - i)]);
  }
  return order;
}

}  // namespace lathe
