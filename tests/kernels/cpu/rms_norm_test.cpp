#include "kernels/rms_norm.h"

#include <gtest/gtest.h>

#include "kernels/kernel_test.h"
#include "kernels/reference/rms_norm.h"

namespace lathe::kernels {
namespace {

template <typename T>
class RmsNorm : public ::testing::Test {};
TYPED_TEST_SUITE(RmsNorm, ElementTypes);

TYPED_TEST(RmsNorm, AgreesWithTheReference) {
  using T = TypeParam;
  for_each_target([] {
    for (const int64_t width : kSizes) {
      const int64_t rows = 3;
      auto x = random_values<T>(rows * width, 1, 3);
      const auto weight = random_values<T>(width, 2), dy = random_values<T>(rows * width, 3);
      if (width == 33) {
        x[40] = nan_of<T>();
        x[70] = infinity_of<T>();
      }
      std::vector<T> y(x.size()), expected_y(y), dx(y), expected_dx(y);
      std::vector<float> rstd(rows), expected_rstd(rows), dw(weight.size(), 0.5F), expected_dw(dw);
      rms_norm(x.data(), weight.data(), y.data(), rstd.data(), rows, width, 1e-6F);
      reference::rms_norm(x.data(), weight.data(), expected_y.data(), expected_rstd.data(), rows, width, 1e-6F);
      expect_close(y, expected_y);
      expect_close(rstd, expected_rstd);
      rms_norm_backward(dy.data(), x.data(), weight.data(), rstd.data(), dx.data(), dw.data(), rows, width);
      reference::rms_norm_backward(dy.data(), x.data(), weight.data(), rstd.data(), expected_dx.data(),
                                   expected_dw.data(), rows, width);
      expect_close(dx, expected_dx, 64);
      expect_close(dw, expected_dw, 64);
      std::vector<T> in_place = x;
      rms_norm(in_place.data(), weight.data(), in_place.data(), nullptr, rows, width, 1e-6F);
      expect_close(in_place, y, 0);
    }
  });
}

TYPED_TEST(RmsNorm, AgreesWithTorch) {
  using T = TypeParam;
  const Json oracle = torch_values("rms_norm" + suffix<T>());
  const auto x = from_json<T>(oracle["x"]), weight = from_json<T>(oracle["weight"]), dy = from_json<T>(oracle["dy"]);
  const auto width = static_cast<int64_t>(weight.size()), rows = static_cast<int64_t>(x.size()) / width;
  std::vector<T> y(x.size()), dx(x.size());
  std::vector<float> rstd(static_cast<size_t>(rows)), dweight(weight.size());
  rms_norm(x.data(), weight.data(), y.data(), rstd.data(), rows, width, 1e-6F);
  rms_norm_backward(dy.data(), x.data(), weight.data(), rstd.data(), dx.data(), dweight.data(), rows, width);
  expect_close(y, from_json<T>(oracle["y"]));
  expect_close(dx, from_json<T>(oracle["dx"]), 16);
  // torch rounds each product of the weight's gradient, and their sum, to the elements' type.
  const double roundings = std::is_same_v<T, Bf16> ? 1 << 18 : std::is_same_v<T, F16> ? 1 << 16 : 16;
  expect_close(dweight, from_json<float>(oracle["dweight"]), roundings);
}

}  // namespace
}  // namespace lathe::kernels
