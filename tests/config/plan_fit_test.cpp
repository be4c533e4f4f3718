#include "config/plan_fit.h"

#include <lathe/error.h>

#include "config/config_testing.h"
#include "config/qwen25.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

int64_t total(const TrainingArguments& args, const LoadShape& load) {
  return plan_memory(qwen25(), args, load, compute_dtype(args), trainable_parameters(qwen25(), args)).total();
}

TEST(PlanFit, WhatDoesNotFitSaysWhatWould) {
  TrainingArguments args = lora();
  args.per_device_train_batch_size = 8;
  const LoadShape load{{8 * 512, 512, 8 * 512}, {}};
  const int64_t trainable = trainable_parameters(qwen25(), args), needed = total(args, load);
  EXPECT_NO_THROW(require_memory(qwen25(), args, load, DType::kBF16, trainable, needed));
  try {
    require_memory(qwen25(), args, load, DType::kBF16, trainable, needed - 1);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(exit_code(error.kind()), 3);
    EXPECT_THAT(error.what(), HasSubstr("the run does not fit in memory: it needs"));
    EXPECT_THAT(error.hint(), HasSubstr("per_device_train_batch_size 4 with gradient_accumulation_steps 16 takes"));
  }
  try {
    require_memory(qwen25(), args, load, DType::kBF16, trainable, 1 << 20);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.hint(), HasSubstr("weights and optimizer alone take"));
  }
}

/// Its rows cost nothing to part: where the evaluation alone is too large, training stays as it is.
TEST(PlanFit, AnEvaluationBatchThatDoesNotFitIsNamed) {
  TrainingArguments args = lora();
  args.per_device_train_batch_size = 1, args.per_device_eval_batch_size = 64;
  const LoadShape load{{512, 512, 400}, {64 * 512, 512, 64 * 400}};
  const int64_t alone = total(args, {load.train, {}});
  ASSERT_LT(alone, total(args, load));
  try {
    require_memory(qwen25(), args, load, DType::kBF16, trainable_parameters(qwen25(), args), alone);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.hint(), HasSubstr("per_device_eval_batch_size"));
    EXPECT_THAT(error.hint(), Not(HasSubstr("per_device_train_batch_size")));
  }
}

}  // namespace
}  // namespace lathe
