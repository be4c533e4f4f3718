#pragma once
// The `optimizer` block of a DeepSpeed JSON: which types have an optimizer here that computes the same.
#include <string_view>
#include <vector>

namespace lathe {

struct DeepSpeedOptimizer {
  const char* name;                     ///< "AdamW": as DeepSpeed's documentation writes it
  const char* optim;                    ///< the name of the same mathematics in `optim`
  std::vector<const char*> parameters;  ///< what stands under optimizer.params for it

  [[nodiscard]] bool is_adam() const;
  [[nodiscard]] bool takes(std::string_view parameter) const;
};

/// By type: DeepSpeed's own in any case, torch's as torch writes them. nullptr: none that is equal.
[[nodiscard]] const DeepSpeedOptimizer* find_deepspeed_optimizer(std::string_view type);
/// What to do in place of a type that is not found.
[[nodiscard]] const char* deepspeed_optimizer_advice(std::string_view type);

}  // namespace lathe
