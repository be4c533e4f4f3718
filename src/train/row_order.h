#pragma once
// Which rows make which update. A checkpoint says where its run was by the number of its updates: with other rows in an
// update, a run that goes on from it would leave rows out or train them twice.
#include <cstdint>
#include <string>

#include "base/json.h"
#include "config/training_arguments.h"

namespace lathe {

/// What decides on it, by the keys that set it; for a checkpoint's manifest. @param num_rows to train on
[[nodiscard]] Json row_order(const TrainingArguments& args, int64_t num_rows);

/// @param before of the checkpoint's run; null: not known (nothing is checked)
/// @throws Error(kConfig) naming what differs, with both values.
void check_row_order(const std::string& folder, const Json& before, const Json& now);

}  // namespace lathe
