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

}  // namespace

Mt19937::Mt19937(uint64_t seed) {
  words_[0] = static_cast<uint32_t>(seed);
  for (uint32_t i = 1; i < kWords; ++i) {
    words_[i] = 1812433253U * (words_[i - 1] ^ (words_[i - 1] >> 30)) + i;
  }
}

void Mt19937::refill() {
  for (size_t i = 0; i < kWords; ++i) {
    const uint32_t y = (words_[i] & kUpper) | (words_[(i + 1) % kWords] & kLower);
    words_[i] = words_[(i + kShift) % kWords] ^ (y >> 1) ^ ((y & 1) != 0 ? kMatrix : 0);
  }
  position_ = 0;
}

uint32_t Mt19937::next() {
  if (position_ == kWords) refill();
  uint32_t y = words_[position_++];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680;
  y ^= (y << 15) & 0xefc60000;
  return y ^ (y >> 18);
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
  for (int64_t i = 0; i < count; ++i) {
    const float unit = static_cast<float>(next() & 0xffffff) * 0x1p-24F;
    out[i] = std::fma(unit, to - from, from);  // torch's kernel is compiled with contraction
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
