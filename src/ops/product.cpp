#include "ops/product.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "base/memory_ledger.h"
#include "base/processor.h"
#include "kernels/product.h"
#include "ops/check.h"
#include "ops/dtype.h"
#include "ops/elements.h"

namespace lathe::ops {
namespace {

// Blocks large enough for fp32 products at full speed, small enough to add little to a step (config/plan.cpp counts
// them).
constexpr int64_t kRows = 1024, kInner = 2048, kColumns = 1024;

/// fp32 values of a block in the order in which they lie in memory; a view of the buffer.
at::Tensor widened(const at::Tensor& block, const at::Tensor& buffer) {
  const bool by_column = block.stride(0) == 1 && block.stride(1) != 1;
  const at::Tensor from = by_column ? block.t() : block;
  at::Tensor wide = buffer.narrow(0, 0, from.numel()).view(from.sizes());
  wide.copy_(from);
  return by_column ? wide.t() : wide;
}

kernels::Bf16Factors bf16_factors(const at::Tensor& a, const at::Tensor& b) {
  return {.rows = a.size(0),
          .depth = a.size(1),
          .columns = b.size(1),
          .a = elements<kernels::Bf16>(a),
          .a_row = a.stride(0),
          .a_column = a.stride(1),
          .b = elements<kernels::Bf16>(b),
          .b_row = b.stride(0),
          .b_column = b.stride(1)};
}

/// Of the most that a thread gets, how much it would be if all got the same.
double evenness(int64_t units, int64_t threads) {
  return static_cast<double>(units) / static_cast<double>(at::divup(units, threads) * threads);
}

/// On all threads, each with its columns or its rows.
void multiply_in_tiles(const kernels::Bf16Product& product) {
  const int64_t threads = at::get_num_threads();
  const kernels::Bf16Factors& of = product.factors;
  const int64_t rows = at::divup(of.rows, kernels::kProductUnit);
  const int64_t columns = at::divup(of.columns, kernels::kProductUnit);
  const bool by_rows = evenness(rows, threads) > evenness(columns, threads);
  const MemoryClass memory_class = MemoryScope::current();
  at::parallel_for(0, by_rows ? rows : columns, 1, [&](int64_t begin, int64_t end) {
    const MemoryScope scope(memory_class);
    const at::Tensor workspace = at::empty({kernels::kProductWorkspace}, at::dtype(at::kFloat));
    const int64_t first = begin * kernels::kProductUnit, last = end * kernels::kProductUnit;
    const kernels::ProductPart part = by_rows
                                          ? kernels::ProductPart{first, std::min(last, of.rows) - first, 0, of.columns}
                                          : kernels::ProductPart{0, of.rows, first, std::min(last, of.columns) - first};
    kernels::multiply_in_tiles(product, part, mutable_elements<float>(workspace));
  });
}

at::Tensor buffer_of(int64_t rows, int64_t columns) {
  return at::empty({rows * columns}, at::dtype(at::kFloat));
}

}  // namespace

bool fits_tiles(const at::Tensor& a, const at::Tensor& b) {
  return a.is_cpu() && a.scalar_type() == at::kBFloat16 && kernels::multiplies_in_tiles(bf16_factors(a, b));
}

void tiled_product_into(const at::Tensor& y, const at::Tensor& a, const at::Tensor& b, const Addends& addends) {
  LATHE_EXPECT(b, ({a.size(1), kAny}), a.scalar_type());
  LATHE_EXPECT(y, ({a.size(0), b.size(1)}), a.scalar_type());
  LATHE_ASSERT(y.stride(1) == 1);
  kernels::Bf16Product product;
  product.factors = bf16_factors(a, b);
  if (addends.factors.defined()) {
    LATHE_EXPECT(addends.factors.a, ({a.size(0), kAny}), a.scalar_type());
    LATHE_EXPECT(addends.factors.b, ({addends.factors.a.size(1), b.size(1)}), a.scalar_type());
    product.beside = bf16_factors(addends.factors.a, addends.factors.b);
  }
  product.y = mutable_elements<kernels::Bf16>(y);
  product.y_row = y.stride(0);
  product.add = addends.y;
  if (addends.bias.defined()) product.bias = elements<kernels::Bf16>(addends.bias);
  const MemoryScope scope(MemoryClass::kWorkspace);
  multiply_in_tiles(product);
}

bool widens(const at::Tensor& factor) {
  return factor.is_cpu() && !multiplies(to_dtype(factor.scalar_type()));
}

void widened_product_into(const at::Tensor& y, const at::Tensor& a, const at::Tensor& b, bool add) {
  LATHE_EXPECT(a, ({kAny, kAny}));
  LATHE_EXPECT(b, ({a.size(1), kAny}), a.scalar_type());
  LATHE_EXPECT(y, ({a.size(0), b.size(1)}), a.scalar_type());
  const int64_t m = a.size(0), k = a.size(1), n = b.size(1);
  const MemoryScope scope(MemoryClass::kWorkspace);
  const int64_t rows = std::min(m, kRows), inner = std::min(k, kInner), columns = std::min(n, kColumns);
  const at::Tensor a_buffer = buffer_of(rows, inner), b_buffer = buffer_of(inner, columns),
                   sums = buffer_of(rows, columns);
  for (int64_t column = 0; column < n; column += kColumns) {
    const int64_t width = std::min(kColumns, n - column);
    for (int64_t row = 0; row < m; row += kRows) {
      const int64_t height = std::min(kRows, m - row);
      at::Tensor place = y.narrow(0, row, height).narrow(1, column, width);
      at::Tensor sum = sums.narrow(0, 0, height * width).view({height, width});
      if (add) sum.copy_(place);
      for (int64_t at = 0; at < k; at += kInner) {
        const int64_t depth = std::min(kInner, k - at);
        const at::Tensor left = widened(a.narrow(0, row, height).narrow(1, at, depth), a_buffer);
        const at::Tensor right = widened(b.narrow(0, at, depth).narrow(1, column, width), b_buffer);
        if (add || at > 0) {
          sum.addmm_(left, right);
        } else {
          at::mm_out(sum, left, right);
        }
      }
      place.copy_(sum);
    }
  }
}

void product_into(const at::Tensor& y, const at::Tensor& a, const at::Tensor& b, bool add) {
  if (widens(a)) return widened_product_into(y, a, b, add);
  if (y.stride(1) == 1 && fits_tiles(a, b)) return tiled_product_into(y, a, b, {.y = add});
  at::Tensor place = y;
  if (add) {
    place.addmm_(a, b);
  } else {
    at::mm_out(place, a, b);
  }
}

at::Tensor product(const at::Tensor& a, const at::Tensor& b) {
  at::Tensor y = at::empty({a.size(0), b.size(1)}, a.options());
  product_into(y, a, b, false);
  return y;
}

}  // namespace lathe::ops
