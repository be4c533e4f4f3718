#include "ops/update.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <numeric>
#include <type_traits>
#include <vector>

#include "kernels/dropout.h"
#include "kernels/split_master.h"
#include "kernels/sum_of_squares.h"
#include "kernels/update_rules.h"
#include "ops/cuda_kernels.h"
#include "ops/elements.h"
#include "ops/profile.h"

namespace lathe::ops {
namespace {

kernels::SplitMaster halves(const MasterWeight& master, int64_t begin) {
  LATHE_ASSERT(master.weight.scalar_type() == at::kBFloat16 && master.rest.scalar_type() == at::kShort &&
               master.rest.is_contiguous() && master.rest.numel() == master.weight.numel());
  return {mutable_elements<kernels::Bf16>(master.weight) + begin, mutable_elements<int16_t>(master.rest) + begin};
}

bool is_split(const MasterWeight& master) {
  return master.rest.defined() && master.rest.scalar_type() == at::kShort;
}

/// The master where it lies whole, in fp32: beside the weight, or the weight itself.
const at::Tensor& whole(const MasterWeight& master) {
  const at::Tensor& values = master.rest.defined() ? master.rest : master.weight;
  LATHE_ASSERT(values.scalar_type() == at::kFloat && values.is_contiguous() && values.numel() == master.weight.numel());
  return values;
}

/// After the whole master beside a weight has changed.
void round_from_whole(const MasterWeight& master) {
  if (master.rest.defined() && !is_split(master)) at::Tensor(master.weight).copy_(master.rest);
}

void check_moment(const BlockwiseMoment& moment, int64_t count) {
  LATHE_ASSERT(moment.codes.is_contiguous() && moment.codes.scalar_type() == at::kByte &&
               moment.codes.numel() == count);
  LATHE_ASSERT(moment.absmax.is_contiguous() && moment.absmax.scalar_type() == at::kFloat &&
               moment.absmax.numel() == (count + kernels::kDynamicBlock - 1) / kernels::kDynamicBlock);
}

kernels::BlockwiseMoment from_block(const BlockwiseMoment& moment, int64_t block) {
  return {mutable_elements<uint8_t>(moment.codes) + block * kernels::kDynamicBlock,
          mutable_elements<float>(moment.absmax) + block};
}

constexpr uint32_t kNoMicroBatch = 0xFFFFFFFF;  // where dropout's counters have the micro-batch's number

kernels::RoundingDraw draw_of(const RoundingKey& key) {
  LATHE_ASSERT(key.parameter < (1U << 24));
  return {.key = {static_cast<uint32_t>(key.seed), static_cast<uint32_t>(key.seed >> 32)},
          .rest = {key.parameter << 8, static_cast<uint32_t>(key.step), kNoMicroBatch}};
}

}  // namespace

double sum_of_squares(const at::Tensor& x) {
  LATHE_ASSERT(x.is_contiguous());
  const ProfileScope profiled(ProfileKind::kOp, "sum_of_squares");
  if (x.is_cuda()) return cuda::sum_of_squares(cuda::queue_of(x), x);
  const int64_t count = x.numel();
  std::vector<double> parts(static_cast<size_t>((count + kElementsATask - 1) / kElementsATask));
  with_gradients(x, [&](auto element) {
    using T = decltype(element);
    at::parallel_for(0, static_cast<int64_t>(parts.size()), 1, [&](int64_t first, int64_t last) {
      for (int64_t part = first; part < last; ++part) {
        const int64_t begin = part * kElementsATask;
        parts[static_cast<size_t>(part)] =
            kernels::sum_of_squares(elements<T>(x) + begin, std::min(kElementsATask, count - begin));
      }
    });
  });
  return std::accumulate(parts.begin(), parts.end(), 0.0);
}

void assign_master(const MasterWeight& master, const at::Tensor& values) {
  LATHE_ASSERT(values.sizes() == master.weight.sizes() && master.weight.is_contiguous());
  at::Tensor weight = master.weight, rest = master.rest;
  if (!rest.defined()) {
    weight.copy_(values);
  } else if (rest.scalar_type() == at::kFloat) {
    rest.copy_(values);
    weight.copy_(rest);
  } else if (values.scalar_type() == at::kBFloat16) {
    weight.copy_(values);
    rest.zero_();
  } else {
    const at::Tensor flat = values.reshape({-1});
    at::parallel_for(0, flat.numel(), kElementsATask, [&](int64_t first, int64_t last) {
      for (int64_t begin = first; begin < last; begin += kElementsATask) {
        const int64_t count = std::min(kElementsATask, last - begin);
        const at::Tensor piece = flat.narrow(0, begin, count).to(at::kFloat);
        kernels::split_master(elements<float>(piece), halves(master, begin), count);
      }
    });
  }
}

at::Tensor read_master(const MasterWeight& master, int64_t begin, int64_t count) {
  if (!is_split(master)) {
    return (master.rest.defined() ? master.rest : master.weight).view({-1}).narrow(0, begin, count);
  }
  at::Tensor values = at::empty({count}, at::dtype(at::kFloat));
  const kernels::SplitMaster from = halves(master, begin);
  at::parallel_for(0, count, kElementsATask, [&](int64_t first, int64_t last) {
    kernels::join_master(from.rounded + first, from.rest + first, mutable_elements<float>(values) + first,
                         last - first);
  });
  return values;
}

void adamw(const MasterWeight& master, const at::Tensor& gradient, const at::Tensor& exp_avg,
           const at::Tensor& exp_avg_sq, const kernels::AdamWStep& step, const RoundingKey& rounding) {
  const int64_t count = master.weight.numel();
  for (const at::Tensor* tensor : {&exp_avg, &exp_avg_sq}) {
    LATHE_ASSERT(tensor->is_contiguous() && tensor->scalar_type() == at::kFloat && tensor->numel() == count);
  }
  LATHE_ASSERT(master.weight.is_contiguous() && gradient.is_contiguous() && gradient.numel() == count);
  const ProfileScope profiled(ProfileKind::kOp, "adamw");
  if (master.weight.is_cuda()) {
    LATHE_ASSERT(gradient.scalar_type() == at::kFloat);
    cuda::adamw(cuda::queue_of(gradient), whole(master), gradient, exp_avg, exp_avg_sq, step);
    return round_from_whole(master);
  }
  constexpr int64_t kBlock = kernels::kDropoutBlock;  // draws begin at its multiples
  const int64_t blocks = (count + kBlock - 1) / kBlock;
  with_gradients(gradient, [&](auto element) {
    using T = decltype(element);
    at::parallel_for(0, blocks, kElementsATask / kBlock, [&](int64_t first, int64_t last) {
      const int64_t begin = first * kBlock, end = std::min(count, last * kBlock);
      float* m = mutable_elements<float>(exp_avg) + begin;
      float* v = mutable_elements<float>(exp_avg_sq) + begin;
      const T* g = elements<T>(gradient) + begin;
      if (is_split(master)) {
        kernels::adamw(halves(master, begin), g, m, v, end - begin, step);
      } else if (master.weight.scalar_type() == at::kBFloat16) {
        kernels::adamw(mutable_elements<kernels::Bf16>(master.weight) + begin, g, m, v, begin, end - begin, step,
                       draw_of(rounding));
      } else if constexpr (std::is_same_v<T, float>) {
        kernels::adamw(mutable_elements<float>(whole(master)) + begin, g, m, v, end - begin, step);
      } else {
        LATHE_ASSERT(false);  // whole masters have fp32 gradients
      }
    });
  });
  round_from_whole(master);
}

void adamw_8bit(const MasterWeight& master, const at::Tensor& gradient, const BlockwiseMoment& exp_avg,
                const BlockwiseMoment& exp_avg_sq, const kernels::AdamWStep& step) {
  const int64_t count = master.weight.numel();
  check_moment(exp_avg, count);
  check_moment(exp_avg_sq, count);
  LATHE_ASSERT(master.weight.is_contiguous() && gradient.is_contiguous() && gradient.numel() == count);
  const ProfileScope profiled(ProfileKind::kOp, "adamw_8bit");
  with_gradients(gradient, [&](auto element) {
    using T = decltype(element);
    // Pieces are whole blocks: a scale belongs to one thread.
    constexpr int64_t kBlock = kernels::kDynamicBlock;
    at::parallel_for(0, exp_avg.absmax.numel(), kElementsATask / kBlock, [&](int64_t first, int64_t last) {
      const int64_t begin = first * kBlock, size = std::min(last * kBlock, count) - begin;
      const T* g = elements<T>(gradient) + begin;
      const kernels::EightBitMoments moments{from_block(exp_avg, first), from_block(exp_avg_sq, first)};
      if (is_split(master)) {
        kernels::adamw_8bit(halves(master, begin), g, moments, size, step);
      } else if constexpr (std::is_same_v<T, float>) {
        kernels::adamw_8bit(mutable_elements<float>(whole(master)) + begin, g, moments, size, step);
      } else {
        LATHE_ASSERT(false);  // whole masters have fp32 gradients
      }
    });
  });
  round_from_whole(master);
}

void update_in_pieces(const MasterWeight& master, const at::Tensor& gradient, double gradient_scale,
                      const std::function<void(const UpdatePiece&)>& body) {
  const int64_t count = master.weight.numel();
  const bool split = is_split(master);
  LATHE_ASSERT(master.weight.is_cpu() && master.weight.is_contiguous());
  LATHE_ASSERT(gradient.is_contiguous() && gradient.numel() == count);
  const ProfileScope profiled(ProfileKind::kOp, "update");
  const auto scale = static_cast<float>(gradient_scale);
  with_gradients(gradient, [&](auto element) {
    using T = decltype(element);
    at::parallel_for(0, (count + kUpdatePiece - 1) / kUpdatePiece, kElementsATask / kUpdatePiece,
                     [&](int64_t first, int64_t last) {
                       float weights[kUpdatePiece], gradients[kUpdatePiece];
                       for (int64_t piece = first; piece < last; ++piece) {
                         const int64_t begin = piece * kUpdatePiece, size = std::min(kUpdatePiece, count - begin);
                         kernels::scale_gradient(elements<T>(gradient) + begin, scale, gradients, size);
                         if (split) {
                           const kernels::SplitMaster both = halves(master, begin);
                           kernels::join_master(both.rounded, both.rest, weights, size);
                           body({begin, size, weights, gradients});
                           kernels::split_master(weights, both, size);
                         } else {
                           body({begin, size, mutable_elements<float>(whole(master)) + begin, gradients});
                         }
                       }
                     });
  });
  round_from_whole(master);
}

}  // namespace lathe::ops
