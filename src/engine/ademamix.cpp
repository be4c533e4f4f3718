#include "engine/ademamix.h"

#include <algorithm>
#include <cmath>

#include "kernels/update_rules.h"
#include "ops/elements.h"
#include "ops/update.h"

namespace lathe {
namespace {

/// The decay of the slow mean on its way from beta1: its half-life grows by as much each update.
double beta3_at(double t, const AdEMAMixOptions& options) {
  if (options.t_beta3 == 0) return options.beta3;
  const double from = std::log(options.beta1), to = std::log(options.beta3), way = t / options.t_beta3;
  return std::min(std::exp(from * to / ((1 - way) * to + way * from)), options.beta3);
}

double alpha_at(double t, const AdEMAMixOptions& options) {
  return options.t_alpha == 0 ? options.alpha : std::min(t * options.alpha / options.t_alpha, options.alpha);
}

}  // namespace

AdEMAMix::AdEMAMix(std::vector<TrainableParameter>& parameters, AdEMAMixOptions options)
    : Optimizer(parameters, options.weight_decay),
      options_(options),
      exp_avg_(make_state()),
      exp_avg_slow_(make_state()),
      exp_avg_sq_(make_state()) {}

void AdEMAMix::update(size_t parameter, const UpdateStep& step) {
  const auto t = static_cast<double>(step.step);
  const double beta3 = beta3_at(t, options_);
  const kernels::AdEMAMixStep numbers{
      .rate = static_cast<float>(step.learning_rate),
      .kept = static_cast<float>(1 - step.learning_rate * step.weight_decay),
      .beta1 = static_cast<float>(options_.beta1),
      .one_minus_beta1 = static_cast<float>(1 - options_.beta1),
      .beta2 = static_cast<float>(options_.beta2),
      .one_minus_beta2 = static_cast<float>(1 - options_.beta2),
      .beta3 = static_cast<float>(beta3),
      .one_minus_beta3 = static_cast<float>(1 - beta3),
      .alpha = static_cast<float>(alpha_at(t, options_)),
      .correction1 = static_cast<float>(1 - std::pow(options_.beta1, t)),
      .root_correction2 = static_cast<float>(std::sqrt(1 - std::pow(options_.beta2, t))),
      .epsilon = static_cast<float>(options_.epsilon)};
  float* mean = ops::mutable_elements<float>(exp_avg_[parameter]);
  float* slow = ops::mutable_elements<float>(exp_avg_slow_[parameter]);
  float* square = ops::mutable_elements<float>(exp_avg_sq_[parameter]);
  const TrainableParameter& of = parameters()[parameter];
  ops::update_in_pieces(of.master, of.gradient, step.gradient_scale, [&](const ops::UpdatePiece& piece) {
    kernels::ademamix(piece.weight, piece.gradient, mean + piece.begin, slow + piece.begin, square + piece.begin,
                      piece.count, numbers);
  });
}

std::vector<StateTensor> AdEMAMix::state(size_t parameter) {
  return {plain_state(".exp_avg", exp_avg_.at(parameter)), plain_state(".exp_avg_slow", exp_avg_slow_.at(parameter)),
          plain_state(".exp_avg_sq", exp_avg_sq_.at(parameter))};
}

}  // namespace lathe
