#pragma once
// A hand-written backward as one node of torch's autograd graph, so that our functions work under loss.backward() in
// any libtorch program. A Node subclass rather than autograd::Function<T>, which costs seconds of compile time a file.
#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace lathe::ops {

/// @param doutput the gradient at the output, of its shape  @returns one gradient an input, undefined where none is
/// wanted
using Backward = std::function<std::vector<at::Tensor>(const at::Tensor& doutput)>;

/// @param output what forward gave, worked out without autograd
/// @param inputs the tensors it depends on, leaves or not; those that require no gradient may stand among them
/// @param backward runs at most once, without autograd, on the thread of the autograd engine; dropped after it ran
/// @returns output as part of the graph; output itself when no input requires a gradient
/// @throws Error(kInternal) in backward(): another number of gradients than inputs; a second backward over the same
/// graph
[[nodiscard]] at::Tensor autograd_node(const at::Tensor& output, const std::vector<at::Tensor>& inputs,
                                       Backward backward);

}  // namespace lathe::ops
