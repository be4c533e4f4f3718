#pragma once
// The texts of tests/oracle/tokenizer.py, made by the same generator, and its way of hashing ids.
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/sha256.h"
#include "data/unicode.h"

namespace lathe::testing {

inline constexpr std::pair<uint32_t, uint32_t> kRanges[] = {
    {0x20, 0x7E},       {0x61, 0x7A},       {0x09, 0x0D},       {0x20, 0x20},       {0xA0, 0x24F},
    {0x300, 0x36F},     {0x370, 0x52F},     {0x591, 0x6FF},     {0x900, 0x9FF},     {0xD00, 0xE7F},
    {0xF71, 0xF84},     {0x1100, 0x11FF},   {0x1AB0, 0x1B4F},   {0x1DC0, 0x1FFF},   {0x2000, 0x212F},
    {0x2460, 0x2BFF},   {0x3000, 0x30FF},   {0x4E00, 0x9FFF},   {0xA720, 0xABFF},   {0xAC00, 0xD7FF},
    {0xE000, 0xFFFF},   {0x10000, 0x10FFF}, {0x11000, 0x11FFF}, {0x1D100, 0x1D7FF}, {0x1F300, 0x1FAFF},
    {0x1FE00, 0x2FFFF}, {0x30000, 0x10FFFF}};
inline constexpr std::string_view kWords[] = {"<|im_start|>",
                                              "<|im_end|>",
                                              "<|endoftext|>",
                                              "<|im_",
                                              "end|>",
                                              "<|",
                                              "|>",
                                              "<think>",
                                              "</think>",
                                              "<tool_call>",
                                              "'s",
                                              "'S",
                                              "'\u017f",
                                              "'re",
                                              "'RE",
                                              "'lL",
                                              "'ve",
                                              "'M",
                                              "'d",
                                              "  ",
                                              "\n\n",
                                              " \n ",
                                              "\r\n",
                                              "\u200d",
                                              "\ufe0f",
                                              "e\u0301",
                                              "a\u0323\u0302",
                                              "\u1112\u1161\u11ab",
                                              "\u0345",
                                              "\u212b",
                                              "\u2126",
                                              "the",
                                              " and",
                                              "123",
                                              "\u3000"};

/// Knuth's MMIX generator; the upper 31 bits are used.
class Lcg {
 public:
  explicit Lcg(uint64_t seed) : state_(seed) {}
  uint32_t below(size_t bound) {
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<uint32_t>((state_ >> 33) % bound);
  }

 private:
  uint64_t state_;
};

inline std::string random_text(uint64_t index) {
  Lcg lcg(index);
  lcg.below(2);
  std::vector<size_t> pools(1 + lcg.below(3));
  for (size_t& pool : pools) pool = lcg.below(std::size(kRanges) + 2);
  std::string out;
  const uint32_t draws = lcg.below(index % 64 == 0 ? 400 : 24);
  for (uint32_t i = 0; i < draws; ++i) {
    const size_t pool = pools[lcg.below(pools.size())];
    if (pool >= std::size(kRanges)) {
      out += kWords[lcg.below(std::size(kWords))];
      continue;
    }
    const auto [first, last] = kRanges[pool];
    unicode::append_utf8(out, first + lcg.below(last - first + 1));
  }
  return out;
}

/// First 16 digits of the SHA-256 of what is added.
class Digest {
 public:
  void add(std::span<const int32_t> ids) {
    const auto size = static_cast<int32_t>(ids.size());
    sha256_.update(std::as_bytes(std::span(&size, 1)));
    sha256_.update(std::as_bytes(ids));
  }
  void add_text(std::string_view text) { sha256_.update(text).update(std::string_view("\0", 1)); }
  [[nodiscard]] std::string hex() { return sha256_.hex().substr(0, 16); }

 private:
  Sha256 sha256_;
};

}  // namespace lathe::testing
