#include "ops/autograd_node.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <lathe/error.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>

namespace lathe::ops {
namespace {

namespace autograd = torch::autograd;

class HandWritten final : public autograd::Node {
 public:
  HandWritten(autograd::edge_list edges, Backward backward)
      : Node(std::move(edges)), num_gradients_(num_outputs()), backward_(std::move(backward)) {}

  std::string name() const override { return "lathe::HandWritten"; }
  void release_variables() override { backward_ = nullptr; }

  // called from the autograd engine
  autograd::variable_list apply(autograd::variable_list&& doutputs) override {
    const at::NoGradGuard no_grad;
    if (backward_ == nullptr) {
      throw Error(ErrorKind::kInternal, "backward was called a second time over the same graph", {},
                  "run forward again: what it kept was given back after the first backward");
    }
    if (!doutputs.at(0).defined()) return autograd::variable_list(num_gradients_);
    autograd::variable_list gradients = backward_(doutputs[0]);
    LATHE_ASSERT(gradients.size() == num_gradients_);
    return gradients;
  }

 private:
  size_t num_gradients_;
  Backward backward_;
};

}  // namespace

at::Tensor autograd_node(const at::Tensor& output, const std::vector<at::Tensor>& inputs, Backward backward) {
  const bool any = std::any_of(inputs.begin(), inputs.end(), [](const at::Tensor& x) { return x.requires_grad(); });
  if (!any || !at::GradMode::is_enabled()) return output;
  const std::shared_ptr<autograd::Node> node(new HandWritten(autograd::collect_next_edges(inputs), std::move(backward)),
                                             autograd::deleteNode);
  at::Tensor tracked = output.detach();
  autograd::set_history(tracked, node);
  return tracked;
}

}  // namespace lathe::ops
