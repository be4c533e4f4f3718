#include "model/differentiable.h"

#include <ATen/ATen.h>

#include "ops/autograd_node.h"

namespace lathe {
namespace {

// Adds up in fp32 what the model hands over, by position among the parameters.
class Collector final : public GradientSink {
 public:
  explicit Collector(const TensorMap& parameters) {
    for (const auto& [id, tensor] : parameters) {
      index_[id] = gradients_.size();
      wanted_.push_back(tensor.requires_grad());
      gradients_.emplace_back();
      parameters_.push_back(tensor);
    }
  }

  bool wants(const ParameterId& id) const override {
    const auto found = index_.find(id);
    return found != index_.end() && wanted_[found->second];
  }
  void ready(const ParameterId& id, const at::Tensor& contribution, bool) override {
    at::Tensor& sum = gradients_[index_.at(id)];
    if (sum.defined()) {
      sum.add_(contribution);
    } else {
      sum = contribution.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
    }
  }
  GradientPlace borrow(const ParameterId& id) override {
    const size_t place = index_.at(id);
    const bool fresh = !gradients_[place].defined();
    if (fresh) gradients_[place] = at::empty_like(parameters_[place], at::kFloat, at::MemoryFormat::Contiguous);
    return {gradients_[place], fresh};
  }
  void written(const ParameterId&, bool) override {}
  std::vector<at::Tensor>& gradients() { return gradients_; }

 private:
  std::map<ParameterId, size_t> index_;
  std::vector<bool> wanted_;
  std::vector<at::Tensor> gradients_;
  std::vector<at::Tensor> parameters_;
};

}  // namespace

at::Tensor differentiable_loss(CausalLM& model, const Batch& batch, WeightSource& weights, const TensorMap& parameters,
                               const DropoutKey& dropout) {
  std::vector<at::Tensor> leaves;
  for (const auto& [id, tensor] : parameters) leaves.push_back(tensor);
  const auto collector = std::make_shared<Collector>(parameters);
  const std::shared_ptr<SavedActivations> saved = make_saved_activations();
  const double loss = model.forward(batch, weights, collector.get(), *saved, 1, true, dropout);
  const at::Tensor value = at::full({}, loss, at::dtype(at::kFloat));
  // The head's gradients are already there, for a loss that counts once: all are multiplied by the gradient at the
  // loss.
  return ops::autograd_node(value, leaves,
                            [&model, &batch, &weights, collector, saved, dropout, leaves](const at::Tensor& dloss) {
                              model.backward(batch, weights, *collector, *saved, true, dropout);
                              std::vector<at::Tensor> gradients = std::move(collector->gradients());
                              for (size_t i = 0; i < gradients.size(); ++i) {
                                if (gradients[i].defined())
                                  gradients[i] = gradients[i].mul_(dloss).to(leaves[i].scalar_type());
                              }
                              return gradients;
                            });
}

}  // namespace lathe
