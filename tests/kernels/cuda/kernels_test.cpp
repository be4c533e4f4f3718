// The CUDA kernels beside the plain versions, on sizes that fill blocks, leave threads idle and do not divide by a
// pack.
#include <gtest/gtest.h>

#include "kernels/cuda/machine.h"
#include "kernels/reference/adamw.h"
#include "kernels/reference/cross_entropy.h"
#include "kernels/reference/dropout.h"
#include "kernels/reference/quantize.h"
#include "kernels/reference/rms_norm.h"
#include "kernels/reference/rotary.h"
#include "kernels/reference/sum_of_squares.h"
#include "kernels/reference/swiglu.h"

namespace lathe::kernels {
namespace {

// Beside kSizes: whole packs only, more than a block's threads, more than one block.
constexpr int64_t kWidths[] = {1, 2, 3, 7, 8, 16, 33, 64, 100, 257, 896, 2056, 2311};

struct OnMachine : ::testing::Test {
  void SetUp() override {
    if (const std::string reason = why_not(); !reason.empty()) GTEST_SKIP() << reason;
  }
};
template <typename T>
struct CudaKernels : OnMachine {};
using CudaElementTypes = ::testing::Types<float, Bf16>;
TYPED_TEST_SUITE(CudaKernels, CudaElementTypes);
struct CudaAdamW : OnMachine {};

template <typename T>
void compare_rms_norm(int64_t rows, int64_t width, int64_t shift, std::vector<T> x) {
  const auto weight = random_values<T>(width, 2), dy = random_values<T>(rows * width, 3);
  std::vector<T> expected_y(x.size()), expected_dx(x.size());
  std::vector<float> expected_rstd(static_cast<size_t>(rows)), expected_dw(weight.size(), 0.5F);
  reference::rms_norm(x.data(), weight.data(), expected_y.data(), expected_rstd.data(), rows, width, 1e-6F);
  reference::rms_norm_backward(dy.data(), x.data(), weight.data(), expected_rstd.data(), expected_dx.data(),
                               expected_dw.data(), rows, width);
  const auto space = static_cast<size_t>(machine()->rms_norm_workspace(rows, width));
  Buffer<T> in(x, shift), scale(weight, shift), from(dy, shift), out(std::vector<T>(x.size()), shift);
  Buffer<float> rstd(std::vector<float>(expected_rstd.size())), dw(std::vector<float>(weight.size(), 0.5F));
  Buffer<float> workspace(std::vector<float>(space, std::nanf("")));
  succeed(machine()->rms_norm(element_of<T>(), in.data(), scale.data(), out.data(), rstd.data(), rows, width, 1e-6F,
                              nullptr));
  expect_close(out.read(), expected_y);
  expect_close(rstd.read(), expected_rstd);
  // dx in dy's place, as the contract allows.
  succeed(machine()->rms_norm_backward(element_of<T>(), from.data(), in.data(), scale.data(), rstd.data(), from.data(),
                                       dw.data(), workspace.data(), rows, width, nullptr));
  expect_close(from.read(), expected_dx, 64);
  expect_close(dw.read(), expected_dw, 512);
  succeed(
      machine()->rms_norm(element_of<T>(), in.data(), scale.data(), in.data(), nullptr, rows, width, 1e-6F, nullptr));
  expect_close(in.read(), out.read(), 0);
}

TYPED_TEST(CudaKernels, RmsNorm) {
  for_each_order([] {
    for (const int64_t width : kWidths) {
      for (const int64_t shift : {0, 1}) {
        auto x = random_values<TypeParam>(3 * width, 1, 3);
        if (width == 33) {
          x[40] = nan_of<TypeParam>();
          x[70] = infinity_of<TypeParam>();
        }
        compare_rms_norm<TypeParam>(3, width, shift, x);
      }
    }
    compare_rms_norm<TypeParam>(1, 64, 0, random_values<TypeParam>(64, 1));
    compare_rms_norm<TypeParam>(700, 24, 0, random_values<TypeParam>(700 * 24, 1));
  });
}

TYPED_TEST(CudaKernels, Rotary) {
  using T = TypeParam;
  for_each_order([] {
    for (const int64_t half : {1, 3, 4, 8, 33, 64, 100}) {
      for (const int64_t shift : {0, 1}) {
        const auto cos = random_values<float>(3 * half, 1), sin = random_values<float>(3 * half, 2);
        auto x = random_values<T>(3 * 5 * 2 * half, 3);
        x[0] = nan_of<T>();
        Buffer<float> c(cos), s(sin);
        for (const bool inverse : {false, true}) {
          auto expected = x;
          reference::rotary(expected.data(), cos.data(), sin.data(), 3, 5, 2 * half, inverse);
          Buffer<T> in(x, shift), out(std::vector<T>(x.size()), shift);
          succeed(machine()->rotary(element_of<T>(), in.data(), out.data(), c.data(), s.data(), 3, 5, 2 * half, inverse,
                                    nullptr));
          expect_close(out.read(), expected, 16);
          succeed(machine()->rotary(element_of<T>(), in.data(), in.data(), c.data(), s.data(), 3, 5, 2 * half, inverse,
                                    nullptr));
          expect_close(in.read(), expected, 16);
        }
      }
    }
  });
}

TYPED_TEST(CudaKernels, Swiglu) {
  using T = TypeParam;
  for_each_order([] {
    for (const int64_t count : {1, 3, 8, 100, 257, 2048, 2049, 5003}) {
      for (const int64_t shift : {0, 1}) {
        auto gate = random_values<T>(count, 1, 20);
        const auto up = random_values<T>(count, 2), dy = random_values<T>(count, 3);
        if (count == 100) {
          const double limits[] = {0, -0.0, 88, -88, 104, -104, 1e30, -1e30};
          for (size_t i = 0; i < std::size(limits); ++i) gate[i] = reference::narrow<T>(limits[i]);
          gate[90] = infinity_of<T>();
          gate[99] = nan_of<T>();
        }
        std::vector<T> expected(gate.size());
        auto dgate = gate, dup = up, again = dy;
        reference::swiglu(gate.data(), up.data(), expected.data(), count);
        reference::swiglu_backward(again.data(), dgate.data(), dup.data(), count);
        Buffer<T> g(gate, shift), u(up, shift), d(dy, shift), y(dy, shift);
        succeed(machine()->swiglu(element_of<T>(), g.data(), u.data(), y.data(), count, nullptr));
        expect_close(y.read(), expected);
        succeed(machine()->swiglu_backward(element_of<T>(), d.data(), g.data(), u.data(), count, nullptr));
        expect_close(g.read(), dgate, 64);
        expect_close(u.read(), dup);
        expect_close(d.read(), y.read(), 0);  // the very values that forward gave
      }
    }
  });
}

template <typename T>
void compare_cross_entropy(const std::vector<T>& logits, const std::vector<int64_t>& targets, double smoothing,
                           int64_t shift) {
  const auto rows = static_cast<int64_t>(targets.size()), vocabulary = static_cast<int64_t>(logits.size()) / rows;
  for (const bool gradient : {false, true}) {
    const CrossEntropy options{.label_smoothing = smoothing, .gradient = gradient, .gradient_scale = 3};
    auto expected = logits;
    std::vector<float> expected_loss(targets.size());
    reference::cross_entropy(expected.data(), targets.data(), expected_loss.data(), rows, vocabulary, options);
    Buffer<T> in(logits, shift);
    Buffer<int64_t> of(targets);
    Buffer<float> loss(std::vector<float>(targets.size(), -1));
    succeed(machine()->cross_entropy(element_of<T>(), in.data(), of.data(), loss.data(), rows, vocabulary, options,
                                     nullptr));
    expect_close(loss.read(), expected_loss);
    expect_close(in.read(), expected, 64);
  }
}

TYPED_TEST(CudaKernels, CrossEntropy) {
  using T = TypeParam;
  for_each_order([] {
    for (const int64_t vocabulary : kWidths) {
      for (const double smoothing : {0.0, 0.1}) {
        const std::vector<int64_t> targets{vocabulary - 1, -100, 0};
        compare_cross_entropy(random_values<T>(3 * vocabulary, 1, 4), targets, smoothing, vocabulary % 2);
      }
    }
    compare_cross_entropy(random_values<T>(2 * 20011, 1, 4), {7, 20010}, 0.1, 0);
    compare_cross_entropy(random_values<T>(2 * 20016, 1, 4), {7, 20015}, 0, 0);
    compare_cross_entropy(random_values<T>(3 * 104, 1, 1000), {0, 5, 103}, 0, 0);
  });
}

TYPED_TEST(CudaKernels, CrossEntropyOfValuesThatAreNotFinite) {
  using T = TypeParam;
  const T nan = nan_of<T>(), infinity = infinity_of<T>(), below = reference::narrow<T>(-INFINITY);
  auto logits = random_values<T>(5 * 40, 1);
  logits[3] = nan;
  logits[40 + 39] = infinity;
  std::fill_n(logits.begin() + 80, 9, below);    // the first pack and more: still a distribution
  std::fill_n(logits.begin() + 120, 40, below);  // nothing left
  compare_cross_entropy(logits, {1, 1, 20, 1, 1}, 0, 0);
}

TYPED_TEST(CudaKernels, SumOfSquares) {
  using T = TypeParam;
  for_each_order([] {
    for (const int64_t count : {0, 1, 7, 8, 100, 2048, 8192, 8195, 100003}) {
      for (const int64_t shift : {0, 1}) {
        auto values = random_values<T>(count, 1, 1e15);
        const auto sum_of = [&] {
          Buffer<T> in(values, shift);
          Buffer<double> parts(std::vector<double>(cuda::kSumParts, std::nan(""))), sum({-1});
          succeed(machine()->sum_of_squares(element_of<T>(), in.data(), count, parts.data(), sum.data(), nullptr));
          return sum.read()[0];
        };
        const double expected = reference::sum_of_squares(values.data(), count);
        EXPECT_NEAR(sum_of(), expected, 1e-12 * expected) << count;
        if (count == 0) continue;
        values.back() = nan_of<T>();
        EXPECT_TRUE(std::isnan(sum_of()));
      }
    }
  });
}

TYPED_TEST(CudaKernels, DropoutIsTheReferenceBitForBit) {
  using T = TypeParam;
  const DropoutDraw draw{.key = {7, 0xffffffff}, .rest = {3 << 8 | 5 << 16, 11, 2}, .threshold = 6554, .scale = 1.25F};
  for_each_order([&] {
    for (const int64_t first : {int64_t{0}, kDropoutBlock, kDropoutBlock << 31}) {
      for (const int64_t count : {1, 15, 17, 100, 128, 129, 257, 5000}) {
        const auto x = random_values<T>(count, 1);
        std::vector<T> expected(x.size());
        reference::dropout(x.data(), expected.data(), first, count, draw);
        Buffer<T> in(x), out(std::vector<T>(x.size(), T{1}));
        succeed(machine()->dropout(element_of<T>(), in.data(), out.data(), first, count, draw, nullptr));
        EXPECT_EQ(out.read(), expected);
      }
    }
  });
}

/// Scales as they are, and in codes of their own.
template <typename T>
void compare_four_bits(int64_t count, FourBitType type) {
  const auto x = random_values<float>(count, 1);
  const auto blocks = static_cast<size_t>((count + kFourBitBlock - 1) / kFourBitBlock);
  std::vector<uint8_t> codes((x.size() + 1) / 2), absmax_codes(blocks);
  std::vector<float> absmax(blocks), nested((blocks + kAbsmaxBlock - 1) / kAbsmaxBlock), opened(blocks);
  quantize_4bit(x.data(), codes.data(), absmax.data(), count, type);
  constexpr float kOffset = 0.25F;
  quantize_absmax(absmax.data(), absmax_codes.data(), nested.data(), static_cast<int64_t>(blocks));
  dequantize_absmax(absmax_codes.data(), nested.data(), kOffset, opened.data(), 0, static_cast<int64_t>(blocks));
  Buffer<uint8_t> held(codes), held_absmax(absmax_codes);
  Buffer<float> scales(absmax), held_nested(nested);
  cuda::FourBitWeight plain{}, twice{};
  plain.codes = twice.codes = held.data();
  plain.values = twice.values = four_bit_values(type);
  plain.absmax = scales.data();
  twice.absmax_codes = held_absmax.data(), twice.nested = held_nested.data(), twice.offset = kOffset;
  twice.scale_values = dynamic_map_values(DynamicMap::kSigned);
  for (const auto& [weight, by] : {std::pair(plain, absmax), std::pair(twice, opened)}) {
    std::vector<T> expected(x.size());
    reference::dequantize_4bit(codes.data(), by.data(), expected.data(), count, type);
    for (const int64_t shift : {0, 1}) {
      Buffer<T> out(std::vector<T>(x.size()), shift);
      succeed(machine()->dequantize_4bit(element_of<T>(), weight, out.data(), count, nullptr));
      EXPECT_EQ(out.read(), expected) << count;
    }
  }
}

TYPED_TEST(CudaKernels, OpensFourBitsBitForBit) {
  for_each_order([] {
    for (const int64_t count : {1, 3, 64, 65, 104, 2048, 5003, 64 * 300}) {
      compare_four_bits<TypeParam>(count, FourBitType::kNf4);
      compare_four_bits<TypeParam>(count, FourBitType::kFp4);
    }
  });
}

TYPED_TEST(CudaKernels, OpensEightBitsBitForBit) {
  using T = TypeParam;
  for_each_order([] {
    for (const int64_t width : kWidths) {
      const int64_t rows = 3;
      const auto x = random_values<float>(rows * width, 1);
      std::vector<int8_t> codes(x.size());
      std::vector<float> absmax(static_cast<size_t>(rows));
      quantize_int8(x.data(), codes.data(), absmax.data(), rows, width);
      std::vector<T> expected(x.size());
      reference::dequantize_int8(codes.data(), absmax.data(), expected.data(), rows, width);
      Buffer<int8_t> held(codes);
      Buffer<float> scales(absmax);
      Buffer<T> out(std::vector<T>(x.size()));
      succeed(
          machine()->dequantize_int8(element_of<T>(), held.data(), scales.data(), out.data(), rows, width, nullptr));
      EXPECT_EQ(out.read(), expected) << width;
    }
  });
}

TEST_F(CudaAdamW, AgreesWithTheReference) {
  for_each_order([] {
    for (const int64_t count : {1, 3, 4, 100, 1024, 1027, 5003}) {
      for (const int64_t shift : {0, 1}) {
        auto p = random_values<float>(count, 1), m = random_values<float>(count, 2), v = random_values<float>(count, 3);
        for (float& value : v) value *= value;
        auto g = random_values<float>(count, 4);
        if (count > 20) g[3] = nan_of<float>();
        const AdamWStep step = adamw_step(1e-2, 0.9, 0.999, 1e-8, 0.1, 7, 0.3);
        Buffer<float> parameter(p, shift), gradient(g, shift), exp_avg(m, shift), exp_avg_sq(v, shift);
        reference::adamw(p.data(), g.data(), m.data(), v.data(), count, step);
        succeed(machine()->adamw(parameter.data(), gradient.data(), exp_avg.data(), exp_avg_sq.data(), count, step,
                                 nullptr));
        expect_close(parameter.read(), p);
        expect_close(exp_avg.read(), m);
        expect_close(exp_avg_sq.read(), v);
      }
    }
  });
}

}  // namespace
}  // namespace lathe::kernels
