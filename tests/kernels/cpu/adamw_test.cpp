#include "kernels/adamw.h"

#include <gtest/gtest.h>

#include "kernels/kernel_test.h"
#include "kernels/reference/adamw.h"

namespace lathe::kernels {
namespace {

TEST(AdamWRange, AgreesWithTheReference) {
  for_each_target([] {
    for (const int64_t count : kSizes) {
      auto p = random_values<float>(count, 1), m = random_values<float>(count, 2), v = random_values<float>(count, 3);
      for (float& value : v) value *= value;
      auto g = random_values<float>(count, 4);
      if (count > 20) g[3] = nan_of<float>();
      auto expected_p = p, expected_m = m, expected_v = v;
      const AdamWStep step = adamw_step(1e-2, 0.9, 0.999, 1e-8, 0.1, 7, 0.3);
      adamw(p.data(), g.data(), m.data(), v.data(), count, step);
      reference::adamw(expected_p.data(), g.data(), expected_m.data(), expected_v.data(), count, step);
      expect_close(p, expected_p);
      expect_close(m, expected_m);
      expect_close(v, expected_v);
    }
  });
}

TEST(AdamWRange, FollowsTorch) {
  const Json oracle = torch_values("adamw");
  for_each_target([&] {
    auto p = from_json<float>(oracle["start"]);
    std::vector<float> m(p.size()), v(p.size());
    int64_t count = 0;
    for (const Json& step : oracle["steps"]) {
      const auto g = from_json<float>(step["gradient"]);
      adamw(p.data(), g.data(), m.data(), v.data(), static_cast<int64_t>(p.size()),
            adamw_step(3e-3, 0.9, 0.95, 1e-8, 0.1, ++count, 0.5));
      expect_close(p, from_json<float>(step["parameter"]), 4);
      expect_close(m, from_json<float>(step["exp_avg"]), 4);
      expect_close(v, from_json<float>(step["exp_avg_sq"]), 4);
    }
  });
}

}  // namespace
}  // namespace lathe::kernels
