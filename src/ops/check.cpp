#include "ops/check.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <lathe/error.h>

#include <string>

namespace lathe::ops {
namespace {

std::string extents(at::IntArrayRef sizes) {
  std::string text = "[";
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (i > 0) text += ", ";
    text += sizes[i] == kAny ? "*" : std::to_string(sizes[i]);
  }
  return text + "]";
}

bool fits(at::IntArrayRef sizes, at::IntArrayRef wanted) {
  if (sizes.size() != wanted.size()) return false;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (wanted[i] != kAny && wanted[i] != sizes[i]) return false;
  }
  return true;
}

}  // namespace

void expect(const at::Tensor& tensor, std::initializer_list<int64_t> shape, const char* name, const char* file,
            int line) {
  const at::IntArrayRef wanted(shape.begin(), shape.size());
  if (!tensor.defined()) {
    throw Error(ErrorKind::kInternal,
                fmt::format("bug in Lathe, please report: {} is missing, expected {}", name, extents(wanted)),
                {.file = file, .line = line});
  }
  if (fits(tensor.sizes(), wanted)) return;
  throw Error(ErrorKind::kInternal,
              fmt::format("bug in Lathe, please report: {} has shape {}, expected {}", name, extents(tensor.sizes()),
                          extents(wanted)),
              {.file = file, .line = line});
}

void expect(const at::Tensor& tensor, std::initializer_list<int64_t> shape, c10::ScalarType dtype, const char* name,
            const char* file, int line) {
  expect(tensor, shape, name, file, line);
  if (tensor.scalar_type() == dtype) return;
  throw Error(ErrorKind::kInternal,
              fmt::format("bug in Lathe, please report: {} is {}, expected {}", name,
                          c10::toString(tensor.scalar_type()), c10::toString(dtype)),
              {.file = file, .line = line});
}

}  // namespace lathe::ops
