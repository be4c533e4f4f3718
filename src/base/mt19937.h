#pragma once
// torch's default CPU generator above the torch line: row order and an adapter's first values are drawn from it
// (docs/numerics.md). Tested bit for bit against at::randperm and at::Tensor::uniform_.
#include <array>
#include <cstdint>
#include <vector>

namespace lathe {

class Mt19937 {
 public:
  explicit Mt19937(uint64_t seed);  ///< as at::mt19937(seed): the low 32 bits count
  uint32_t next();                  ///< one 32-bit draw
  void discard(uint64_t count);     ///< as count calls of next()
  /// Fills out with uniform floats in [low, high), one draw each, as at::Tensor::uniform_ on a contiguous fp32 CPU
  /// tensor.
  void uniform(float* out, int64_t count, double low, double high);
  [[nodiscard]] std::vector<uint32_t> state() const;  ///< 624 words, then the position
  void set_state(const std::vector<uint32_t>& state);

 private:
  void refill();
  std::array<uint32_t, 624> words_{};
  uint32_t position_ = 624;
};

/// As torch.randperm(count, generator=g) on a CPU, for count < 2^32 / 20. @throws Error(kInternal) beyond.
[[nodiscard]] std::vector<int64_t> random_permutation(int64_t count, Mt19937& generator);

}  // namespace lathe
