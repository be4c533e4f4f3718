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

/// Of a dimension of one element any stride will do; a tensor may say some other one.
int64_t stride_of(const at::Tensor& factor, int64_t dim) {
  return factor.size(dim) == 1 ? 1 : factor.stride(dim);
}

bool has_unit_stride(const at::Tensor& factor) {
  return stride_of(factor, 0) == 1 || stride_of(factor, 1) == 1;
}

at::Tensor with_unit_stride(const at::Tensor& factor) {
  return has_unit_stride(factor) ? factor : factor.contiguous();
}

Factors with_unit_stride(const Factors& factors) {
  return factors.defined() ? Factors{with_unit_stride(factors.a), with_unit_stride(factors.b)} : factors;
}

template <typename T>
kernels::FactorsOf<T> factors_of(const at::Tensor& a, const at::Tensor& b) {
  return {.rows = a.size(0),
          .depth = a.size(1),
          .columns = b.size(1),
          .a = elements<T>(a),
          .a_row = stride_of(a, 0),
          .a_column = stride_of(a, 1),
          .b = elements<T>(b),
          .b_row = stride_of(b, 0),
          .b_column = stride_of(b, 1)};
}

template <typename T>
kernels::ProductOf<T> product_of(const at::Tensor& y, const at::Tensor& a, const at::Tensor& b,
                                 const Addends& addends) {
  LATHE_EXPECT(b, ({a.size(1), kAny}), a.scalar_type());
  LATHE_EXPECT(y, ({a.size(0), b.size(1)}), a.scalar_type());
  LATHE_ASSERT(y.stride(1) == 1 || y.size(1) == 1);
  kernels::ProductOf<T> product;
  product.factors = factors_of<T>(a, b);
  if (addends.factors.defined()) {
    LATHE_EXPECT(addends.factors.a, ({a.size(0), kAny}), a.scalar_type());
    LATHE_EXPECT(addends.factors.b, ({addends.factors.a.size(1), b.size(1)}), a.scalar_type());
    product.beside = factors_of<T>(addends.factors.a, addends.factors.b);
  }
  product.y = mutable_elements<T>(y);
  product.y_row = y.stride(0);
  product.add = addends.y;
  if (addends.bias.defined()) product.bias = elements<T>(addends.bias);
  return product;
}

/// Of the most that a thread gets, how much it would be if all got the same.
double evenness(int64_t units, int64_t threads) {
  return static_cast<double>(units) / static_cast<double>(at::divup(units, threads) * threads);
}

struct Units {
  int64_t rows, columns;
};

/// body(part, workspace) on all threads, each with its columns or its rows, whole units of them.
template <typename Floats, typename Body>
void for_each_part(int64_t num_rows, int64_t num_columns, Units unit, const Floats& workspace_of, const Body& body) {
  const int64_t threads = at::get_num_threads();
  const int64_t rows = at::divup(num_rows, unit.rows), columns = at::divup(num_columns, unit.columns);
  const bool by_rows = evenness(rows, threads) > evenness(columns, threads);
  at::parallel_for(0, by_rows ? rows : columns, 1, [&](int64_t begin, int64_t end) {
    const MemoryScope scope(MemoryClass::kWorkspace);
    kernels::ProductPart part{0, num_rows, 0, num_columns};
    if (by_rows) {
      part.first_row = begin * unit.rows;
      part.rows = std::min(end * unit.rows, num_rows) - part.first_row;
    } else {
      part.first_column = begin * unit.columns;
      part.columns = std::min(end * unit.columns, num_columns) - part.first_column;
    }
    const at::Tensor workspace = at::empty({workspace_of(part)}, at::dtype(at::kFloat));
    body(part, mutable_elements<float>(workspace));
  });
}

void tiled_product_into(const at::Tensor& y, const at::Tensor& a, const at::Tensor& b, const Addends& addends) {
  const kernels::Bf16Product product = product_of<kernels::Bf16>(y, a, b, addends);
  for_each_part(
      a.size(0), b.size(1), {kernels::kProductUnit, kernels::kProductUnit},
      [](const kernels::ProductPart&) { return kernels::kProductWorkspace; },
      [&](const kernels::ProductPart& part, float* space) { kernels::multiply_in_tiles(product, part, space); });
}

}  // namespace

bool fits_tiles(const at::Tensor& a, const at::Tensor& b) {
  return a.is_cpu() && a.scalar_type() == at::kBFloat16 &&
         kernels::multiplies_in_tiles(factors_of<kernels::Bf16>(a, b));
}

bool widens(const at::Tensor& factor) {
  return factor.is_cpu() && !multiplies(to_dtype(factor.scalar_type()));
}

bool is_own(const at::Tensor& a, const at::Tensor& b) {
  return widens(a) || fits_tiles(a, b);
}

void own_product_into(const at::Tensor& y, const at::Tensor& a, const at::Tensor& b, const Addends& addends) {
  if (widens(a)) return widened_product_into(y, a, b, addends);
  tiled_product_into(y, a, b, addends);
}

void widened_product_into(const at::Tensor& y, const at::Tensor& a, const at::Tensor& b, const Addends& addends) {
  LATHE_EXPECT(a, ({kAny, kAny}));
  const at::Tensor left = with_unit_stride(a), right = with_unit_stride(b);
  const Addends added{addends.y, addends.bias, with_unit_stride(addends.factors)};
  const bool in_place = y.stride(1) == 1;
  const at::Tensor place = in_place ? y : y.contiguous();
  const auto run = [&](auto element) {
    const auto product = product_of<decltype(element)>(place, left, right, added);
    for_each_part(
        a.size(0), b.size(1), {kernels::kWidenedRows, kernels::kWidenedColumns},
        [](const kernels::ProductPart& part) { return kernels::widened_workspace(part.rows); },
        [&](const kernels::ProductPart& part, float* space) { kernels::multiply_widened(product, part, space); });
  };
  if (a.scalar_type() == at::kHalf) {
    run(kernels::F16());
  } else {
    LATHE_ASSERT(a.scalar_type() == at::kBFloat16);
    run(kernels::Bf16());
  }
  if (!in_place) y.copy_(place);
}

void product_into(const at::Tensor& y, const at::Tensor& a, const at::Tensor& b, bool add) {
  if (widens(a)) return widened_product_into(y, a, b, {.y = add});
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
