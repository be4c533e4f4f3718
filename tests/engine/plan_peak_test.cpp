// The memory plan beside what the ledger counts while a step runs: the plan has to be enough, and not much more.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/memory_ledger.h"
#include "config/plan.h"
#include "data/loader.h"
#include "engine/make_optimizer.h"
#include "engine/trainable.h"
#include "model/causal_lm.h"
#include "model/lora.h"
#include "ops/cpu_allocator.h"

namespace lathe {
namespace {

struct Case {
  const char* name;
  bool lora, bf16;
  const char* recomputed;
  double dropout;
  int64_t vocabulary, rows, length, accumulation = 1;
  std::vector<std::string> saved = {};  // modules_to_save
  bool ensure_weight_tying = false;
  bool dora = false;
  const char* optim = "adamw_torch";
  bool masters = true;
  bool fp16 = false;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

ModelShape shape_of(const Case& c) {
  ModelShape shape;
  shape.vocab_size = c.vocabulary, shape.hidden_size = 96, shape.intermediate_size = 256, shape.num_layers = 4;
  shape.num_heads = 4, shape.num_kv_heads = 2, shape.head_dim = 24, shape.max_position_embeddings = 4096;
  shape.qkv_bias = shape.tie_word_embeddings = true;
  return shape;
}

TrainingArguments arguments_of(const Case& c) {
  TrainingArguments args;
  args.use_lora = c.lora, args.bf16 = c.bf16, args.fp16 = c.fp16;
  args.gradient_checkpointing = *c.recomputed != 0;
  if (args.gradient_checkpointing) args.gradient_checkpointing_scope = c.recomputed;
  args.lora_dropout = c.dropout, args.lora_r = 8, args.lora_target_modules = "all-linear";
  args.init_from_scratch = true;
  args.optim = c.optim;
  args.modules_to_save = c.saved, args.ensure_weight_tying = c.ensure_weight_tying;
  args.use_dora = c.dora;
  args.gradient_accumulation_steps = c.accumulation;
  args.bf16_stochastic_rounding = !c.masters;
  return args;
}

Batch batch_of(const Case& c) {
  Batch batch;
  batch.cu_seqlens = {0};
  for (int64_t row = 0; row < c.rows; ++row) {
    for (int64_t i = 0; i < c.length; ++i) {
      batch.input_ids.push_back(static_cast<int32_t>((row * 31 + i * 7) % c.vocabulary));
      batch.targets.push_back(static_cast<int32_t>((row * 31 + i * 7 + 7) % c.vocabulary));
      batch.positions.push_back(static_cast<int32_t>(i));
    }
    batch.cu_seqlens.push_back(static_cast<int32_t>((row + 1) * c.length));
    batch.rows.push_back(row);
  }
  return batch;
}

BatchShape shape_of_batch(const Case& c) {
  return {c.rows * c.length, c.length, c.rows * c.length};
}

/// What products take counts beside every phase, and at these sizes it is a tenth of one and more.
void expect_enough_and_not_much_more(const MemoryPlan& plan, int64_t peak) {
  const double share = static_cast<double>(plan.total()) / static_cast<double>(peak);
  EXPECT_GE(share, 1.0) << describe(plan, peak);
  const bool alone = plan.bytes[static_cast<size_t>(MemoryClass::kWorkspace)] == 0;
  EXPECT_LE(share, alone ? 1.35 : 1.5) << describe(plan, peak);
}

class PlanPeak : public ::testing::TestWithParam<Case> {};

TEST_P(PlanPeak, PlanCoversTheStep) {
  install_cpu_allocator();
  const Case c = GetParam();
  const ModelShape shape = shape_of(c);
  const TrainingArguments args = arguments_of(c);
  const at::ScalarType dtype = c.bf16 ? at::kBFloat16 : c.fp16 ? at::kHalf : at::kFloat;
  const int64_t before = cpu_ledger().current_total();
  TensorMap weights;
  {
    const MemoryScope scope(MemoryClass::kWeights);
    weights = init_model_weights(shape, 1, dtype);
  }
  std::vector<ParameterId> trainable;
  ModelShape behind = shape;
  if (c.lora) {
    const LoraConfig config{.r = args.lora_r,
                            .alpha = 16,
                            .target_modules = std::string("all-linear"),
                            .use_dora = c.dora,
                            .modules_to_save = {c.saved, c.ensure_weight_tying}};
    const TensorMap adapter = init_lora_weights(config, shape, 1, dtype);
    for (const auto& [id, tensor] : adapter) trainable.push_back(id);
    for (const auto& [id, extents] : copied_shapes(config, shape)) trainable.push_back(id);
    add_adapter(weights, config, shape, adapter);
    behind = shape_behind(config, shape);
  } else {
    for (const auto& [id, tensor] : weights) trainable.push_back(id);
  }
  ParameterStore store(behind, std::move(weights), trainable, dtype,
                       c.accumulation > 1 ? GradientStorage::kFloat : GradientStorage::kComputeType,
                       c.masters ? MasterStorage::kFloat : MasterStorage::kNone);
  const auto optimizer = make_optimizer(args, store.parameters());
  const std::string recomputed = c.recomputed;
  ModelOptions options{.compute_dtype = dtype,
                       .recompute = recomputed == "layer"       ? Recompute::kLayer
                                    : recomputed == "mlp"       ? Recompute::kMlp
                                    : recomputed == "attention" ? Recompute::kAttention
                                                                : Recompute::kNothing,
                       .loss_chunk_tokens = loss_chunk_tokens(args)};
  if (c.lora) options.lora = {.r = args.lora_r, .scale = 2, .dropout = c.dropout};
  CausalLM model(behind, options);
  const Batch batch = batch_of(c);
  cpu_ledger().reset_peaks();
  {
    const MemoryScope scope(MemoryClass::kActivations);
    const auto saved = make_saved_activations();
    const DropoutKey dropout{.seed = 1, .enabled = c.dropout > 0};
    (void)model.forward(batch, store, &store, *saved, 1.0, true, dropout);
    model.backward(batch, store, store, *saved, true, dropout);
  }
  store.complete_gradients();
  optimizer->step(1e-3);
  const int64_t peak = cpu_ledger().peak_total() - before;
  const int64_t count = trainable_parameters(shape, args);
  EXPECT_EQ(count, store.num_trainable());
  const LoadShape load{shape_of_batch(c), {}};
  const MemoryPlan plan = plan_memory(shape, args, load, compute_dtype(args), count);
  RecordProperty("plan_to_peak_percent", static_cast<int>(100 * plan.total() / peak));
  expect_enough_and_not_much_more(plan, peak);
  for (const MemoryClass held : {MemoryClass::kMaster, MemoryClass::kGradients, MemoryClass::kOptimizer}) {
    const int64_t planned = plan.bytes[static_cast<size_t>(held)];
    EXPECT_NEAR(static_cast<double>(cpu_ledger().peak(held)), static_cast<double>(planned),
                0.02 * static_cast<double>(planned) + 4096);
  }
  // An evaluation of many times the rows: of them nothing is kept.
  Case many = c;
  many.rows *= 12;
  const Batch evaluated = batch_of(many);
  cpu_ledger().reset_peaks();
  {
    const MemoryScope scope(MemoryClass::kActivations);
    const auto saved = make_saved_activations();
    (void)model.forward(evaluated, store, nullptr, *saved, 0, true, {});
  }
  const int64_t evaluation_peak = std::max(peak, cpu_ledger().peak_total() - before);
  EXPECT_GT(evaluation_peak, peak);
  const LoadShape both{load.train, shape_of_batch(many)};
  expect_enough_and_not_much_more(plan_memory(shape, args, both, compute_dtype(args), count), evaluation_peak);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, PlanPeak,
    ::testing::Values(
        Case{"lora_fp32", true, false, "", 0, 1500, 2, 160}, Case{"lora_bf16", true, true, "", 0, 1500, 2, 160},
        Case{.name = "lora_fp16",
             .lora = true,
             .bf16 = false,
             .recomputed = "",
             .dropout = 0,
             .vocabulary = 1500,
             .rows = 2,
             .length = 160,
             .fp16 = true},
        Case{.name = "full_fp16",
             .lora = false,
             .bf16 = false,
             .recomputed = "mlp",
             .dropout = 0,
             .vocabulary = 1500,
             .rows = 2,
             .length = 100,
             .fp16 = true},
        Case{"lora_bf16_dropout", true, true, "", 0.1, 1500, 2, 160},
        Case{"lora_bf16_checkpointing", true, true, "layer", 0.1, 1500, 2, 160},
        Case{"lora_bf16_mlp_again", true, true, "mlp", 0, 1500, 2, 160},
        Case{"lora_bf16_attention_again", true, true, "attention", 0.1, 1500, 2, 160},
        Case{"lora_fp32_long_row", true, false, "", 0, 500, 1, 640},
        Case{"lora_bf16_vocabulary", true, true, "layer", 0, 8000, 2, 100},
        Case{"lora_fp32_embedding_alone", true, false, "", 0, 1500, 2, 160, 1, {"embed_tokens", "norm"}},
        Case{"lora_bf16_embedding_and_head", true, true, "", 0, 1500, 2, 160, 2, {"embed_tokens", "lm_head"}},
        Case{"lora_bf16_tied_table", true, true, "", 0.1, 1500, 2, 160, 1, {"lm_head"}, true},
        Case{"dora_fp32", true, false, "", 0, 1500, 2, 160, 1, {}, false, true},
        Case{"dora_bf16_dropout", true, true, "", 0.1, 1500, 2, 160, 1, {}, false, true},
        Case{"dora_bf16_mlp_again", true, true, "mlp", 0, 500, 2, 320, 1, {}, false, true},
        Case{"dora_bf16_checkpointing", true, true, "layer", 0.1, 500, 2, 320, 1, {}, false, true},
        Case{"lora_bf16_mlp_whole", true, true, "", 0, 500, 2, 160, 2, {"mlp"}},
        Case{"full_fp32", false, false, "", 0, 1500, 2, 100}, Case{"full_bf16", false, true, "", 0, 1500, 2, 100},
        Case{"full_bf16_accumulated", false, true, "", 0, 1500, 2, 100, 2},
        Case{"full_bf16_8bit", false, true, "", 0, 1500, 2, 100, 1, {}, false, false, "adamw_bnb_8bit"},
        Case{"lora_bf16_8bit", true, true, "", 0, 1500, 2, 160, 1, {}, false, false, "paged_adamw_8bit"},
        Case{"full_bf16_lion_8bit", false, true, "", 0, 1500, 2, 100, 1, {}, false, false, "lion_8bit"},
        Case{"lora_fp32_sgd", true, false, "", 0, 1500, 2, 160, 1, {}, false, false, "sgd"},
        Case{"lora_bf16_adafactor", true, true, "", 0, 1500, 2, 160, 1, {}, false, false, "adafactor"},
        Case{"full_bf16_adafactor", false, true, "", 0, 1500, 2, 100, 1, {}, false, false, "adafactor"},
        Case{"full_fp32_lion", false, false, "", 0, 1500, 2, 100, 1, {}, false, false, "lion_32bit"},
        Case{"full_bf16_drawn", false, true, "", 0, 1500, 2, 100, 1, {}, false, false, "adamw_torch", false}),
    [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace lathe
