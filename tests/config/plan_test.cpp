#include "config/plan.h"

#include <nlohmann/json.hpp>

#include "base/processor.h"
#include "config/config_testing.h"
#include "config/field_value.h"
#include "config/fields.h"
#include "config/optimizer_bytes.h"
#include "config/qwen25.h"
#include "kernels/product.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;

int64_t bytes(const MemoryPlan& plan, MemoryClass memory_class) {
  return plan.bytes[static_cast<size_t>(memory_class)];
}

/// 0: it has none of that name.
int64_t bytes_of_term(const MemoryPlan& plan, std::string_view name) {
  for (const PlanTerm& term : plan.terms) {
    if (term.name == name) return term.bytes;
  }
  return 0;
}

MemoryPlan plan_of(const TrainingArguments& args, const LoadShape& load) {
  return plan_memory(qwen25(), args, load, compute_dtype(args), trainable_parameters(qwen25(), args));
}

TEST(Plan, AnEvaluationAtTheStartCounts) {
  TrainingArguments args = lora();
  args.per_device_train_batch_size = 1, args.per_device_eval_batch_size = 4, args.max_seq_length = 100;
  EXPECT_EQ(nominal_load(args).train.tokens, 100);
  EXPECT_EQ(nominal_load(args).eval.tokens, 0);
  args.eval_on_start = true;
  EXPECT_EQ(nominal_load(args).train.tokens, 100);
  EXPECT_EQ(nominal_load(args).eval.tokens, 400);
}

/// Of an evaluation nothing is kept for backward: a batch counts only where it is several times as large.
TEST(Plan, AnEvaluationBatchTakesLessThanATrainingBatch) {
  const BatchShape rows{2048, 512, 1500}, many{64 * 2048, 512, 64 * 1500};
  const int64_t alone = plan_of(lora(), {rows, {}}).total();
  EXPECT_EQ(plan_of(lora(), {rows, rows}).total(), alone);
  const MemoryPlan plan = plan_of(lora(), {rows, many});
  EXPECT_GT(plan.total(), alone);
  EXPECT_GT(bytes_of_term(plan, "an evaluation batch beyond these"), 0);
  EXPECT_LT(plan.total(), plan_of(lora(), {many, {}}).total() / 2);
}

/// The fields' upper ends are chosen so: 80 layers of 8192 and 29,568, nothing computed again.
TEST(Plan, TheLargestSettingsStayNumbers) {
  ModelShape shape = qwen25();
  shape.hidden_size = 8192, shape.intermediate_size = 29568, shape.num_layers = 80;
  shape.num_heads = 64, shape.num_kv_heads = 8, shape.head_dim = 128, shape.tie_word_embeddings = false;
  TrainingArguments args = lora();
  for (const char* key : {"per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps",
                          "lora_r", "max_seq_length"}) {
    const Field& field = *find_field(key);
    ASSERT_FALSE(set_value(args, field, static_cast<int64_t>(field.high)).has_value()) << key;
  }
  args.bf16 = false;
  const MemoryPlan plan =
      plan_memory(shape, args, nominal_load(args), compute_dtype(args), trainable_parameters(shape, args));
  for (const PlanTerm& term : plan.terms) EXPECT_GE(term.bytes, 0) << term.name;
  EXPECT_GT(plan.total(), int64_t{1} << 55U);
}

/// The counts of the toolkit's documentation, which peft gave.
TEST(Plan, CountsTrainableParameters) {
  TrainingArguments args = lora();
  EXPECT_EQ(trainable_parameters(qwen25(), args), 35'192'832);
  args.lora_target_modules = "q_proj,k_proj,v_proj,o_proj";
  args.lora_r = 32;
  EXPECT_EQ(trainable_parameters(qwen25(), args), 4'325'376);
  args.lora_r = 16;
  EXPECT_EQ(trainable_parameters(qwen25(), args), 2'162'688);
  args.lora_target_modules = "all-linear";
  args.lora_r = 48;
  EXPECT_EQ(trainable_parameters(qwen25(), args), 26'394'624);
  args.modules_to_save = {"embed_tokens", "lm_head"};  // tied in the base, two copies here
  EXPECT_EQ(trainable_parameters(qwen25(), args), 26'394'624 + 2 * 151936 * 896);
  args.ensure_weight_tying = true;
  EXPECT_EQ(trainable_parameters(qwen25(), args), 26'394'624 + 151936 * 896);
  args.use_lora = false;
  EXPECT_EQ(trainable_parameters(qwen25(), args), 494'032'768);
}

TEST(Plan, StateOfAnAdapterOverMappedWeights) {
  const MemoryPlan plan = plan_of(lora(), {{512, 256, 200}, {}});
  EXPECT_EQ(plan.mapped_bytes, int64_t{2} * 494'032'768);
  EXPECT_EQ(bytes(plan, MemoryClass::kWeights), plan.mapped_bytes + 2 * 35'192'832);
  EXPECT_EQ(bytes(plan, MemoryClass::kMaster), 2 * 35'192'832);
  EXPECT_EQ(bytes(plan, MemoryClass::kGradients), 4 * 35'192'832);
  EXPECT_EQ(bytes(plan, MemoryClass::kOptimizer), 8 * 35'192'832);
}

TEST(Plan, EachOptimizerKeepsItsOwn) {
  const auto kept = [](const char* optim, const char* optim_args, bool adapter) {
    TrainingArguments args = lora();
    args.use_lora = adapter;
    args.optim = optim, args.optim_args = optim_args;
    return bytes(plan_of(args, {{512, 256, 200}, {}}), MemoryClass::kOptimizer);
  };
  constexpr int64_t kAdapter = 35'192'832, kAll = 494'032'768;
  EXPECT_EQ(kept("paged_adamw_32bit", "", true), 8 * kAdapter);
  EXPECT_EQ(kept("ademamix", "", true), 12 * kAdapter);
  EXPECT_EQ(kept("sgd", "", true), 0);
  EXPECT_EQ(kept("sgd", "momentum=0.9", true), 4 * kAdapter);
  EXPECT_EQ(kept("adagrad", "", true), 4 * kAdapter);
  EXPECT_EQ(kept("lion_32bit", "", true), 4 * kAdapter);
  EXPECT_EQ(kept("rmsprop", "", true), 4 * kAdapter);
  EXPECT_EQ(kept("rmsprop", "centered=true, momentum=0.9", true), 12 * kAdapter);
  // A layer's sites: in + out of each, 2 · 64 for the two ends of the rank.
  constexpr int64_t kEnds = 2 * (896 + 896) + 2 * (896 + 128) + 3 * (896 + 4864);
  EXPECT_EQ(kept("adafactor", "", true), 4 * 24 * (kEnds + 7 * 2 * 64));
  // Every matrix's rows and columns, and all of the norms and biases.
  constexpr int64_t kVectors = 24 * (2 * 896 + 896 + 2 * 128) + 896;
  EXPECT_EQ(kept("adafactor", "", false), 4 * (24 * kEnds + 151936 + 896 + kVectors));
  EXPECT_EQ(kept("adamw_torch", "", false), 8 * kAll);
}

TEST(Plan, FrozenWeightsOfAnotherTypeAreCopies) {
  TrainingArguments args = lora();
  args.bf16 = false;
  const MemoryPlan plan = plan_of(args, {{512, 256, 200}, {}});
  EXPECT_EQ(plan.mapped_bytes, 0);
  EXPECT_EQ(bytes(plan, MemoryClass::kWeights), int64_t{4} * (494'032'768 + 35'192'832));
}

TEST(Plan, FullTrainingKeepsMasters) {
  TrainingArguments args = lora();
  args.use_lora = false;
  const MemoryPlan plan = plan_of(args, {{512, 256, 200}, {}});
  EXPECT_EQ(bytes(plan, MemoryClass::kWeights), int64_t{2} * 494'032'768);
  EXPECT_EQ(bytes(plan, MemoryClass::kMaster), int64_t{2} * 494'032'768);
  EXPECT_EQ(bytes(plan, MemoryClass::kOptimizer), int64_t{8} * 494'032'768);
  args.optim = "adamw_bnb_8bit";
  const int64_t moments = optimizer_bytes(qwen25(), args);
  EXPECT_EQ(bytes(plan_of(args, {{512, 256, 200}, {}}), MemoryClass::kOptimizer), moments);
  args.optim = "adamw_torch";
  const int64_t checkpoint = checkpoint_bytes(qwen25(), args, 494'032'768);
  args.optim = "adamw_8bit";
  EXPECT_EQ(checkpoint - checkpoint_bytes(qwen25(), args, 494'032'768), int64_t{8} * 494'032'768 - moments);
}

TEST(Plan, RoundingByDrawsNeedsNoMasters) {
  TrainingArguments args = lora();
  args.use_lora = false;
  const MemoryPlan with = plan_of(args, {{512, 256, 200}, {}});
  const int64_t saved = checkpoint_bytes(qwen25(), args, 494'032'768);
  args.bf16_stochastic_rounding = true;
  const MemoryPlan without = plan_of(args, {{512, 256, 200}, {}});
  EXPECT_EQ(bytes(without, MemoryClass::kMaster), 0);
  EXPECT_EQ(with.total() - without.total(), int64_t{2} * 494'032'768);
  EXPECT_EQ(saved - checkpoint_bytes(qwen25(), args, 494'032'768), int64_t{4} * 494'032'768);
}

TEST(Plan, ActivationsGrowWithTokensAndShrinkWithCheckpointing) {
  TrainingArguments args = lora();
  const int64_t small = bytes(plan_of(args, {{512, 256, 100}, {}}), MemoryClass::kActivations);
  const int64_t large = bytes(plan_of(args, {{1024, 256, 100}, {}}), MemoryClass::kActivations);
  EXPECT_GT(large, small * 3 / 2);
  EXPECT_LE(large, 2 * small);
  args.gradient_checkpointing = true;
  EXPECT_LT(bytes(plan_of(args, {{1024, 256, 100}, {}}), MemoryClass::kActivations), large / 3);
}

/// No term grows with vocabulary times tokens: the logits of a chunk are all there is of them.
TEST(Plan, LogitsAreNeverWhole) {
  const int64_t whole = 4 * 151936 * int64_t{65536};
  TrainingArguments args = lora();
  args.gradient_checkpointing = true;
  EXPECT_LT(bytes(plan_of(args, {{65536, 2048, 65536}, {}}), MemoryClass::kActivations), whole);
}

/// Where the processor has no products of the type, the blocks of the largest one that goes by fp32.
TEST(Plan, WidenedProducts) {
  TrainingArguments args = lora();
  const auto widened = [&](const LoadShape& load) {
    return bytes_of_term(plan_of(args, load), "products widened to fp32");
  };
  args.bf16 = args.fp16 = false;
  EXPECT_EQ(widened({{512, 256, 200}, {}}), 0);
  args.bf16 = true;
  if (multiplies(DType::kBF16)) {
    EXPECT_EQ(widened({{512, 256, 200}, {}}), 0);
    return;
  }
  // A thread's panel of one factor, block of the other, and sums of at most 2016 rows; the rows of a weight's gradient
  // are those of the weight.
  const auto of_thread = [](int64_t rows) { return kernels::widened_workspace(rows) * 4; };
  const char* set = std::getenv("OMP_NUM_THREADS");
  const std::string before = set == nullptr ? "" : set;
  ::setenv("OMP_NUM_THREADS", "3", 1);
  EXPECT_EQ(widened({{512, 256, 100}, {}}), 3 * of_thread(4864));
  EXPECT_EQ(widened({{65536, 2048, 65536}, {}}), 3 * of_thread(65536));
  before.empty() ? ::unsetenv("OMP_NUM_THREADS") : ::setenv("OMP_NUM_THREADS", before.c_str(), 1);
}

/// The layers' linear weights in few bits; embedding, norms and biases as they are, and one weight open at a time.
TEST(Plan, QuantisedWeights) {
  TrainingArguments args = lora();
  args.use_qlora = true;
  constexpr int64_t kLinear = 357'826'560;  // of 494'032'768
  const auto bits = [&] { return 8.0 * static_cast<double>(quantized_bytes(qwen25(), args)) / kLinear; };
  EXPECT_GT(bits(), 4.126);
  EXPECT_LE(bits(), 4.13);
  const MemoryPlan plan = plan_of(args, {{512, 256, 200}, {}});
  EXPECT_EQ(plan.mapped_bytes, int64_t{2} * (494'032'768 - kLinear));
  EXPECT_EQ(bytes(plan, MemoryClass::kWeights), plan.mapped_bytes + quantized_bytes(qwen25(), args) + 2 * 35'192'832);
  EXPECT_EQ(bytes_of_term(plan, "one weight opened"), 2 * 896 * 4864);
  args.bnb_4bit_compute_dtype = "float32";
  EXPECT_EQ(bytes_of_term(plan_of(args, {{512, 256, 200}, {}}), "one weight opened"), 4 * 896 * 4864);
  args.bnb_4bit_use_double_quant = false;
  EXPECT_NEAR(bits(), 4.5, 1e-9);
  args.quantization_bit = 8;
  EXPECT_NEAR(bits(), 8 + 32.0 * 24 * (896 + 128 + 128 + 896 + 4864 + 4864 + 896) / kLinear, 1e-9);
}

TEST(Plan, TermsAddUp) {
  const MemoryPlan plan = plan_of(lora(), {{512, 256, 200}, {}});
  int64_t sum = 0;
  for (const PlanTerm& term : plan.terms) sum += term.bytes;
  EXPECT_EQ(plan.total(), sum);
}

TEST(Plan, DescriptionNamesEveryPart) {
  const MemoryPlan plan = plan_of(lora(), {{512, 256, 200}, {}});
  const std::string text = describe(plan, int64_t{8} << 30U);
  EXPECT_THAT(text, HasSubstr("memory plan: " + format_bytes(plan.total()) + " of " + format_bytes(int64_t{8} << 30U) +
                              " available"));
  for (const char* part : {"weights", "gradients", "optimizer", "activations", "read in place", "kept for backward"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

TEST(Plan, DiskSpaceOfSaving) {
  TrainingArguments args = lora();
  const int64_t trainable = trainable_parameters(qwen25(), args);
  const int64_t whole = checkpoint_bytes(qwen25(), args, trainable);
  EXPECT_GE(whole, (4 + 8) * trainable);
  args.save_strategy = "no";  // the final save alone
  EXPECT_EQ(whole - checkpoint_bytes(qwen25(), args, trainable), 8 * trainable);
  args.use_lora = false;
  EXPECT_GE(checkpoint_bytes(qwen25(), args, 494'032'768), int64_t{2} * 494'032'768);
}

TEST(Plan, ComputeTypeFollowsTheSettings) {
  TrainingArguments args;
  args.fp16 = false;
  EXPECT_EQ(compute_dtype(args), DType::kF32);
  args.bf16 = true;
  EXPECT_EQ(compute_dtype(args), DType::kBF16);
}

}  // namespace
}  // namespace lathe
