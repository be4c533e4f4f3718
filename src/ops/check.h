#pragma once
// Shapes and types of tensors, checked where they enter an op: a wrong one is a bug of ours, named with both shapes.
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <initializer_list>

namespace at {
class Tensor;
}

namespace lathe::ops {

/// Stands for any extent in a list of extents.
inline constexpr int64_t kAny = -1;

/// @throws Error(kInternal) naming the tensor, its shape and type, and what was expected.
void expect(const at::Tensor& tensor, std::initializer_list<int64_t> shape, const char* name, const char* file,
            int line);
void expect(const at::Tensor& tensor, std::initializer_list<int64_t> shape, c10::ScalarType dtype, const char* name,
            const char* file, int line);

/// LATHE_EXPECT(x, ({T, H})) or LATHE_EXPECT(x, ({T, H}), at::kFloat).
#define LATHE_UNPAREN(...) __VA_ARGS__
#define LATHE_EXPECT(tensor, shape, ...) \
  ::lathe::ops::expect(tensor, LATHE_UNPAREN shape, __VA_OPT__(__VA_ARGS__, ) #tensor, __FILE__, __LINE__)

}  // namespace lathe::ops
