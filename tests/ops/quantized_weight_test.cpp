#include "ops/quantized_weight.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/mt19937.h"
#include "kernels/reference/quantize.h"
#include "ops/autograd_reference.h"
#include "ops/linear.h"

namespace lathe::ops {
namespace {

using testing::draw;
using testing::relative;

const Json& oracle() {
  static const Json all = read_json_file(LATHE_SOURCE_DIR "/tests/oracle/values/quantize.json");
  return all;
}

std::string hexed(const void* bytes, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) {
    constexpr const char* kDigits = "0123456789abcdef";
    const uint8_t byte = static_cast<const uint8_t*>(bytes)[i];
    text += {kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return text;
}

std::string hexed(const at::Tensor& tensor) {
  return hexed(tensor.const_data_ptr(), tensor.nbytes());
}

at::Tensor drawn(const Json& item) {
  Mt19937 generator(item["seed"].get<uint64_t>());
  at::Tensor x = at::empty({item["rows"].get<int64_t>(), item["width"].get<int64_t>()});
  generator.uniform(x.mutable_data_ptr<float>(), x.numel(), -1, 1);
  return x;
}

QuantizationSettings settings(Quantization kind, at::ScalarType compute = at::kFloat) {
  return {.kind = kind, .double_quantized = true, .compute_dtype = compute};
}

/// Codes, scales, the scales' scales and their mean, whatever the number of threads.
TEST(QuantizedWeight, DoubleQuantisationIsBitsandbytes) {
  for (const auto& [name, kind] :
       {std::pair{"double_nf4", Quantization::kNf4}, std::pair{"double_fp4", Quantization::kFp4}}) {
    const Json& item = oracle()[name];
    const auto weight = QuantizedWeight::quantize(drawn(item), settings(kind));
    EXPECT_EQ(hexed(weight.codes()), item["codes"]) << name;
    EXPECT_EQ(hexed(weight.absmax()), item["absmax"]) << name;
    EXPECT_EQ(hexed(weight.nested_absmax()), item["nested"]) << name;
    const float offset = weight.offset();
    EXPECT_EQ(hexed(&offset, sizeof offset), item["offset"]) << name;
  }
}

/// Larger than what one thread opens at a time, rows that are no whole number of blocks, a last block that is not full.
TEST(QuantizedWeight, OpensToTheReferencesValues) {
  const at::Tensor w = draw({421, 333}, 4) * 0.02;
  for (const bool twice : {false, true}) {
    const auto held = QuantizedWeight::quantize(
        w, {.kind = Quantization::kFp4, .double_quantized = twice, .compute_dtype = at::kFloat});
    std::vector<uint8_t> codes(static_cast<size_t>((w.numel() + 1) / 2));
    std::vector<float> absmax(static_cast<size_t>((w.numel() + 63) / 64));
    kernels::reference::quantize_4bit(w.const_data_ptr<float>(), codes.data(), absmax.data(), w.numel(),
                                      kernels::FourBitType::kFp4);
    EXPECT_EQ(hexed(held.codes()), hexed(codes.data(), codes.size()));
    if (twice) {
      kernels::reference::dequantize_absmax(held.absmax().const_data_ptr<uint8_t>(),
                                            held.nested_absmax().const_data_ptr<float>(), held.offset(), absmax.data(),
                                            0, static_cast<int64_t>(absmax.size()));
    }
    at::Tensor expected = at::empty_like(w);
    kernels::reference::dequantize_4bit(codes.data(), absmax.data(), expected.mutable_data_ptr<float>(), w.numel(),
                                        kernels::FourBitType::kFp4);
    EXPECT_TRUE(at::equal(held.open(), expected));
    EXPECT_TRUE(at::equal(held.open(at::kBFloat16), expected.to(at::kBFloat16)));
    EXPECT_LT(relative(expected, w), 0.25);
  }
}

TEST(QuantizedWeight, BitsAWeight) {
  const at::Tensor w = draw({896, 4864}, 5);
  const auto bits = [&](const QuantizationSettings& chosen) {
    return 8.0 * static_cast<double>(QuantizedWeight::quantize(w, chosen).nbytes()) / static_cast<double>(w.numel());
  };
  EXPECT_LE(bits(settings(Quantization::kNf4)), 4.13);
  EXPECT_GT(bits(settings(Quantization::kNf4)), 4.12);
  EXPECT_NEAR(bits({.kind = Quantization::kNf4, .double_quantized = false}), 4.5, 1e-9);
  EXPECT_NEAR(bits(settings(Quantization::kInt8)), 8 + 32.0 / 4864, 1e-9);
}

TEST(QuantizedWeight, HalvesAreTakenAsTheyAre) {
  const at::Tensor w = draw({64, 96}, 6).to(at::kBFloat16);
  const auto narrow = QuantizedWeight::quantize(w, settings(Quantization::kNf4));
  const auto wide = QuantizedWeight::quantize(w.to(at::kFloat), settings(Quantization::kNf4));
  EXPECT_TRUE(at::equal(narrow.codes(), wide.codes()));
  EXPECT_TRUE(at::equal(narrow.open(), wide.open()));
}

TEST(QuantizedWeight, ProductsAreThoseWithTheOpenedWeight) {
  const at::Tensor x = draw({9, 128}, 1), bias = draw({80}, 2), dy = draw({9, 80}, 3), w = draw({80, 128}, 7);
  for (const Quantization kind : {Quantization::kNf4, Quantization::kFp4, Quantization::kInt8}) {
    const auto held = QuantizedWeight::quantize(w, settings(kind));
    const WeightView view{{}, &held};
    EXPECT_EQ(view.out_features(), 80);
    EXPECT_EQ(view.in_features(), 128);
    const at::Tensor opened = held.open().to(at::kDouble);
    const auto reference = [&](const std::vector<at::Tensor>& in) {
      return at::matmul(in[0], opened.t()) + bias.to(at::kDouble);
    };
    EXPECT_LE(relative(linear(x, view, bias), reference({x.to(at::kDouble)})), 1e-6);
    const auto theirs = testing::autograd_gradients(reference, {x.to(at::kDouble)}, dy.to(at::kDouble));
    at::Tensor dx;
    linear_input_gradient(dy, view, dx);
    EXPECT_LE(relative(dx, theirs[0]), 1e-6);
    linear_input_gradient(dy, view, dx);
    EXPECT_LE(relative(dx, theirs[0] * 2), 1e-6);
  }
}

/// bnb_4bit_compute_dtype: products in bf16 between activations in fp32, as bitsandbytes' Linear4bit.
TEST(QuantizedWeight, ProductsInAnotherTypeThanTheActivations) {
  const at::Tensor x = draw({9, 128}, 1), bias = draw({80}, 2), dy = draw({9, 80}, 3);
  const auto held = QuantizedWeight::quantize(draw({80, 128}, 7), settings(Quantization::kNf4, at::kBFloat16));
  const WeightView view{{}, &held};
  const at::Tensor y = linear(x, view, bias);
  EXPECT_EQ(y.scalar_type(), at::kFloat);
  const auto narrow = [](const at::Tensor& t) { return t.to(at::kBFloat16); };
  EXPECT_TRUE(at::equal(y, at::linear(narrow(x), held.open(), narrow(bias)).to(at::kFloat)));
  at::Tensor dx;
  linear_input_gradient(dy, view, dx);
  const at::Tensor expected = at::mm(narrow(dy), held.open()).to(at::kFloat);
  EXPECT_TRUE(at::equal(dx, expected));
  linear_input_gradient(dy, view, dx);
  EXPECT_TRUE(at::equal(dx, expected * 2));
  // An adapter's part is worked out in the activations' own type.
  const at::Tensor low = draw({9, 4}, 8), a = draw({4, 128}, 9), b = draw({80, 4}, 10);
  EXPECT_TRUE(at::equal(linear(x, view, bias, {low, b.t()}), at::addmm(y, low, b.t())));
  linear_input_gradient(dy, view, dx, {low, a});
  EXPECT_TRUE(at::equal(dx, at::addmm(expected * 3, low, a)));
}

}  // namespace
}  // namespace lathe::ops
