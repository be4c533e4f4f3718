// DeepSpeed's JSON: what is made where there is none, what is taken over from the user's own, what contradicts.
#include "config/deepspeed.h"

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "config/config_testing.h"
#include "config/deepspeed_keys.h"

namespace lathe {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

/// A configuration whose deepspeed key names a file with this text.
std::string with_file(const std::string& deepspeed, const std::string& body = "") {
  const std::string path = write_config(deepspeed);
  return "\"deepspeed\": \"" + path + "\"" + (body.empty() ? "" : ",\n" + body);
}

LoadedConfig load_deepspeed(const std::string& deepspeed, const std::string& body = "") {
  return load_with(with_file(deepspeed, body));
}

/// The sentence it ends with, less the folder.
std::string refusal(const std::string& deepspeed, const std::string& body = "") {
  const std::string path = write_config(deepspeed);
  try {
    (void)load_with("\"deepspeed\": \"" + path + "\"" + (body.empty() ? "" : ",\n" + body));
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(exit_code(error.kind()), 2);
    std::string text = error.what();
    if (const size_t at = text.find(path); at != std::string::npos) text.replace(at, path.size(), "DS");
    return text;
  }
}

TEST(DeepSpeed, TheGeneratedFileIsTheToolkitsWithTheDocumentedBehaviour) {
  const LoadedConfig loaded = load_with(
      R"("use_deepspeed": true, "deepspeed_stage": 3, "use_lora": true, "per_device_train_batch_size": 2,
      "gradient_accumulation_steps": 8, "learning_rate": 1e-4, "logging_steps": 20)");
  const Json json = filled_deepspeed_config(loaded.args, 27, 100, 896);
  EXPECT_EQ(json["zero_optimization"]["stage"], 3);  // with LoRA too: never clamped
  EXPECT_EQ(json["zero_optimization"]["offload_optimizer"]["device"], "cpu");
  EXPECT_EQ(json["zero_optimization"]["offload_param"]["device"], "cpu");
  EXPECT_EQ(json["zero_optimization"]["reduce_bucket_size"], 896 * 896);
  EXPECT_EQ(json["zero_optimization"]["stage3_prefetch_bucket_size"], 722534);  // int(0.9 * 896 * 896)
  EXPECT_EQ(json["zero_optimization"]["stage3_param_persistence_threshold"], 8960);
  EXPECT_EQ(json["train_batch_size"], 16);
  EXPECT_EQ(json["train_micro_batch_size_per_gpu"], 2);
  EXPECT_EQ(json["gradient_accumulation_steps"], 8);
  EXPECT_EQ(json["gradient_clipping"], 1.0);
  EXPECT_EQ(json["steps_per_print"], 20);
  EXPECT_EQ(json["fp16"]["enabled"], true);
  EXPECT_EQ(json["fp16"]["hysteresis"], 2);
  EXPECT_EQ(json["bf16"]["enabled"], false);
  EXPECT_EQ(json["optimizer"]["params"]["lr"], 1e-4);
  EXPECT_FALSE(json.contains("scheduler"));  // cosine stays the trainer's
  EXPECT_EQ(loaded.args.lr_scheduler_type, "cosine");
  EXPECT_TRUE(loaded.args.fp16_in_bf16);
  EXPECT_THAT(loaded.notes, Contains(HasSubstr("ZeRO stage 3 on one rank partitions nothing")));
  EXPECT_THAT(loaded.notes, Contains(HasSubstr("CPU offload changes nothing on a CPU")));
}

TEST(DeepSpeed, AutoIsFilledIn) {
  const LoadedConfig loaded = load_deepspeed(R"({
    "train_batch_size": "auto", "train_micro_batch_size_per_gpu": "auto", "gradient_accumulation_steps": "auto",
    "gradient_clipping": "auto", "fp16": {"enabled": "auto"}, "bf16": {"enabled": "auto"},
    "zero_optimization": {"stage": 2, "reduce_bucket_size": "auto"},
    "optimizer": {"type": "AdamW", "params": {"lr": "auto", "betas": "auto", "eps": "auto", "weight_decay": "auto"}},
    "scheduler": {"type": "WarmupDecayLR", "params": {"warmup_min_lr": "auto", "warmup_max_lr": "auto",
                  "warmup_num_steps": "auto", "total_num_steps": "auto"}}})",
                                             "\"bf16\": true, \"learning_rate\": 3e-4, \"max_grad_norm\": 0.5");
  const Json json = filled_deepspeed_config(loaded.args, 40, 0, 64);
  EXPECT_THAT(dump_json(json), ::testing::Not(HasSubstr("auto")));
  EXPECT_EQ(json["train_batch_size"], 16);
  EXPECT_EQ(json["gradient_clipping"], 0.5);
  EXPECT_EQ(json["bf16"]["enabled"], true);
  EXPECT_EQ(json["fp16"]["enabled"], false);
  EXPECT_EQ(json["optimizer"]["params"]["betas"], Json::array({0.9, 0.999}));
  EXPECT_EQ(json["scheduler"]["params"]["warmup_max_lr"], 3e-4);
  EXPECT_EQ(json["scheduler"]["params"]["warmup_num_steps"], 1);  // transformers: never below 1
  EXPECT_EQ(json["scheduler"]["params"]["total_num_steps"], 40);
  EXPECT_EQ(loaded.args.lr_scheduler_type, "WarmupDecayLR");
}

TEST(DeepSpeed, ItsValuesAreTakenOverAndSaid) {
  const LoadedConfig loaded = load_deepspeed(R"({
    "train_batch_size": 12, "gradient_accumulation_steps": 4, "gradient_clipping": 0.25, "bf16": {"enabled": true},
    "zero_optimization": {"stage": 1},
    "optimizer": {"type": "Adam", "params": {"lr": 0.002, "betas": [0.8, 0.95], "weight_decay": 0.1}},
    "scheduler": {"type": "WarmupLR", "params": {"warmup_max_lr": 0.002, "warmup_num_steps": 7}}})",
                                             "\"lr_scheduler_type\": \"cosine\"");
  EXPECT_EQ(loaded.args.per_device_train_batch_size, 3);
  EXPECT_EQ(loaded.args.gradient_accumulation_steps, 4);
  EXPECT_EQ(loaded.args.max_grad_norm, 0.25);
  EXPECT_TRUE(loaded.args.bf16);
  EXPECT_FALSE(loaded.args.fp16_in_bf16);
  EXPECT_EQ(loaded.args.learning_rate, 0.002);
  EXPECT_EQ(loaded.args.adam_beta1, 0.8);
  EXPECT_EQ(loaded.args.adam_beta2, 0.95);
  EXPECT_EQ(loaded.args.weight_decay, 0.1);
  EXPECT_TRUE(loaded.args.decay_all_parameters);
  EXPECT_EQ(loaded.args.warmup_steps, 7);
  EXPECT_EQ(loaded.args.lr_scheduler_type, "WarmupLR");
  EXPECT_THAT(loaded.notes, Contains(HasSubstr("learning_rate is 0.002, from the DeepSpeed configuration's "
                                               "optimizer.params.lr")));
  EXPECT_THAT(loaded.notes, Contains(HasSubstr("WarmupLR, in place of lr_scheduler_type \"cosine\"")));
}

TEST(DeepSpeed, WhatAScheduleLeavesOutIsDeepSpeedsDefault) {
  const LoadedConfig loaded = load_deepspeed(R"({"scheduler": {"type": "WarmupDecayLR", "params": {}}})");
  const Json arguments = parse_json(loaded.args.lr_scheduler_kwargs, "");
  EXPECT_EQ(arguments["warmup_num_steps"], 1000);
  EXPECT_EQ(arguments["warmup_max_lr"], 0.001);
}

TEST(DeepSpeed, ContradictionsNameBothKeys) {
  EXPECT_EQ(
      refusal("{\n\"gradient_clipping\": 0.5}", "\"max_grad_norm\": 1.0"),
      "DS:2: 'gradient_clipping' (0.5) of the DeepSpeed configuration contradicts 'max_grad_norm' (1.0); make them "
      "agree, or write \"gradient_clipping\": \"auto\" there");
  EXPECT_THAT(
      refusal(R"({"optimizer": {"type": "AdamW", "params": {"lr": 1e-3}}})", "\"learning_rate\": 1e-4"),
      HasSubstr("'optimizer.params.lr' (0.001) of the DeepSpeed configuration contradicts 'learning_rate' (0.0001)"));
  EXPECT_THAT(refusal(R"({"optimizer": {"type": "AdamW"}})", "\"optim\": \"adamw_8bit\""),
              HasSubstr("contradicts 'optim' (\"adamw_8bit\")"));
  EXPECT_THAT(refusal(R"({"train_micro_batch_size_per_gpu": 8})", "\"per_device_train_batch_size\": 4"),
              HasSubstr("contradicts 'per_device_train_batch_size' (4)"));
  EXPECT_THAT(
      refusal(R"({"train_batch_size": 32})", "\"per_device_train_batch_size\": 4, \"gradient_accumulation_steps\": 4"),
      HasSubstr("'train_batch_size' (32) of the DeepSpeed configuration contradicts"));
  EXPECT_THAT(refusal(R"({"bf16": {"enabled": true}})", "\"fp16\": true"), HasSubstr("contradicts 'fp16' (true)"));
  EXPECT_THAT(refusal(R"({"fp16": {"enabled": true}})", "\"bf16\": true"), HasSubstr("contradicts 'bf16' (true)"));
  EXPECT_THAT(refusal(R"({"zero_optimization": {"stage": 3}})", "\"deepspeed_stage\": 2"),
              HasSubstr("contradicts 'deepspeed_stage' (2)"));
  EXPECT_THAT(
      refusal(R"({"scheduler": {"type": "WarmupLR", "params": {"warmup_num_steps": 5}}})", "\"warmup_steps\": 9"),
      HasSubstr("contradicts 'warmup_steps' (9)"));
  EXPECT_THAT(refusal(R"({"zero_optimization": {"offload_optimizer": {"device": "cpu"}}})", "\"cpu_offload\": false"),
              HasSubstr("contradicts 'cpu_offload' (false)"));
  const LoadedConfig loaded =
      load_deepspeed(R"({"scheduler": {"type": "WarmupDecayLR", "params": {"total_num_steps": 50}}})");
  EXPECT_THROW((void)filled_deepspeed_config(loaded.args, 40, 0, 64), Error);
}

TEST(DeepSpeed, StageZeroIsKept) {
  const LoadedConfig own = load_deepspeed(R"({"zero_optimization": {"stage": 0}})");
  EXPECT_EQ(own.args.deepspeed_stage, 0);
  EXPECT_THAT(own.notes, ::testing::Contains(HasSubstr("DeepSpeed: ZeRO stage 0 on one rank partitions nothing")));
  const LoadedConfig made = load_with(R"("use_deepspeed": true, "deepspeed_stage": 0)");
  for (const LoadedConfig& loaded : {own, made}) {
    EXPECT_EQ(filled_deepspeed_config(loaded.args, 1, 0, 64)["zero_optimization"]["stage"], 0);
  }
}

TEST(DeepSpeed, WhatIsNotThereIsRefusedByName) {
  EXPECT_EQ(refusal("{\n\"zero_optimization\": {\n\"stage\": 3,\n\"overlap_com\": true}}"),
            "DS:4: 'zero_optimization.overlap_com' is not a key of DeepSpeed's configuration; did you mean "
            "'zero_optimization.overlap_comm'?");
  EXPECT_THAT(refusal(R"({"zero_optimisation": {}})"), HasSubstr("did you mean 'zero_optimization'?"));
  EXPECT_THAT(refusal(R"({"zero_optimization": 2})"), HasSubstr("is an object of keys, found 2"));
  EXPECT_THAT(refusal(R"({"zero_optimization": {"offload_optimizer": {"device": "nvme"}}})"),
              HasSubstr("'zero_optimization.offload_optimizer.device' \"nvme\" is not part of this version"));
  EXPECT_THAT(refusal(R"({"optimizer": {"type": "OneBitAdam"}})"), HasSubstr("the optimizer \"OneBitAdam\""));
  EXPECT_THAT(refusal(R"({"scheduler": {"type": "Greedy"}})"), HasSubstr("one of WarmupLR, WarmupDecayLR"));
  EXPECT_THAT(refusal(R"({"compression_training": {"a": 1}})"),
              HasSubstr("'compression_training' of the DeepSpeed configuration is not supported with the value"));
  EXPECT_THAT(refusal("[]"), HasSubstr("is one JSON object of keys and values"));
  EXPECT_THAT(refusal(R"({"optimizer": {"type": "AdamW", "params": {"betas": 0.9}}})"), HasSubstr("two numbers"));
  EXPECT_THAT(refusal(R"({"train_batch_size": "many"})"), HasSubstr("is a whole number"));
}

TEST(DeepSpeed, OptimizersOfTheSameMathematicsAreTaken) {
  const LoadedConfig adam =
      load_deepspeed(R"({"optimizer": {"type": "adam", "params": {"adam_w_mode": false, "weight_decay": 0.1}}})");
  EXPECT_TRUE(adam.args.adam_decays_gradient);
  EXPECT_EQ(adam.args.weight_decay, 0.1);
  EXPECT_FALSE(load_deepspeed(R"({"optimizer": {"type": "AdamW", "params": {"adam_w_mode": false}}})")
                   .args.adam_decays_gradient);  // DeepSpeed: its AdamW always is
  const LoadedConfig sgd = load_deepspeed(
      R"({"optimizer": {"type": "SGD", "params": {"lr": 0.1, "momentum": 0.9, "nesterov": true, "weight_decay": 0.2}}})");
  EXPECT_EQ(sgd.args.optim, "sgd");
  EXPECT_EQ(sgd.args.optim_args, "momentum=0.9, nesterov=true");
  EXPECT_EQ(sgd.args.learning_rate, 0.1);
  EXPECT_EQ(sgd.args.weight_decay, 0.2);
  EXPECT_TRUE(sgd.args.decay_all_parameters);
  EXPECT_THAT(sgd.notes,
              Contains(HasSubstr("the optimizer is the DeepSpeed configuration's SGD: weight_decay on every")));
  const LoadedConfig adagrad = load_deepspeed(R"({"optimizer": {"type": "Adagrad", "params": {"eps": "auto"}}})");
  EXPECT_EQ(adagrad.args.optim, "adagrad");
  EXPECT_EQ(adagrad.args.optim_args, "eps=1e-08");  // transformers puts adam_epsilon there
  const LoadedConfig rmsprop =
      load_deepspeed(R"({"optimizer": {"type": "RMSprop", "params": {"alpha": 0.9}}})", "\"optim\": \"rmsprop\"");
  EXPECT_EQ(rmsprop.args.optim_args, "alpha=0.9");
}

TEST(DeepSpeed, OptimizersThatAreNotEqualAreRefused) {
  EXPECT_THAT(refusal(R"({"optimizer": {"type": "Lion"}})"),
              HasSubstr("set \"optim\": \"lion_32bit\", which does not"));
  EXPECT_THAT(refusal(R"({"optimizer": {"type": "sgd"}})"), HasSubstr("use \"AdamW\", \"Adam\", \"Adagrad\", \"SGD\""));
  EXPECT_THAT(refusal(R"({"optimizer": {"type": "AdamW", "params": {"momentum": 0.9}}})"),
              HasSubstr("'optimizer.params.momentum': AdamW has no 'momentum'; it takes lr, betas, eps"));
  EXPECT_THAT(refusal(R"({"optimizer": {"type": "SGD", "params": {"betas": [0.9, 0.99]}}})"),
              HasSubstr("SGD has no 'betas'"));
  EXPECT_THAT(refusal(R"({"optimizer": {"type": "SGD", "params": {"momentum": "high"}}})"),
              HasSubstr("is a number or a flag, found \"high\""));
  EXPECT_THAT(
      refusal(R"({"optimizer": {"type": "AdamW"}})", "\"optim\": \"adafactor\""),
      HasSubstr("'optimizer.type' (\"AdamW\") of the DeepSpeed configuration contradicts 'optim' (\"adafactor\")"));
  EXPECT_THAT(refusal(R"({"optimizer": {"type": "SGD", "params": {"momentum": 0.9}}})",
                      "\"optim\": \"sgd\", \"optim_args\": \"momentum=0.5\""),
              HasSubstr("contradicts 'optim_args' (momentum=0.5)"));
  EXPECT_THAT(refusal(R"({"optimizer": {"type": "SGD"}})", "\"optim\": \"sgd\", \"optim_args\": \"momentum=0.5\""),
              HasSubstr("contradicts 'optim_args' (momentum=0.5)"));
  EXPECT_EQ(load_deepspeed(R"({"optimizer": {"type": "SGD", "params": {"momentum": 0.5}}})",
                           "\"optim\": \"sgd\", \"optim_args\": \"momentum = 0.5\"")
                .args.optim_args,
            "momentum = 0.5");
  EXPECT_THAT(refusal(R"({"optimizer": {"type": "Adagrad", "params": {"initial_accumulator_value": 0.1}}})"),
              HasSubstr("Adagrad's sums start at zero"));
}

TEST(DeepSpeed, TheGeneratedFileLeavesOtherOptimizersToTheTrainer) {
  const LoadedConfig loaded = load_with(R"("use_deepspeed": true, "optim": "adafactor")");
  const Json json = filled_deepspeed_config(loaded.args, 27, 100, 896);
  EXPECT_FALSE(json.contains("optimizer"));
  EXPECT_EQ(json["zero_allow_untested_optimizer"], true);
  for (const char* keys : {R"("optim": "adamw_8bit")", R"("use_lora": true, "loraplus_lr_ratio": 4)"}) {
    const LoadedConfig other = load_with(std::string(R"("use_deepspeed": true, )") + keys);
    EXPECT_FALSE(filled_deepspeed_config(other.args, 27, 100, 896).contains("optimizer")) << keys;
  }
}

TEST(DeepSpeed, TheToolkitsOwnFileAndTheSeedsSampleAreTaken) {
  EXPECT_EQ(
      refusal(R"({"bf16": {"enabled": false}, "fp16": {"enabled": true, "loss_scale": 0, "loss_scale_window": 1000,
      "hysteresis": 2, "min_loss_scale": 1}, "optimizer": {"type": "AdamW", "params": {"lr": 1e-4,
      "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0}}, "scheduler": {"type": "WarmupLR", "params":
      {"warmup_min_lr": 0, "warmup_max_lr": 1e-4, "warmup_num_steps": 100}}, "zero_optimization": {"stage": 2,
      "offload_optimizer": {"device": "none"}, "offload_param": {"device": "none"}, "overlap_comm": true,
      "contiguous_gradients": true, "sub_group_size": 1e9, "reduce_bucket_size": "auto",
      "stage3_prefetch_bucket_size": "auto", "stage3_param_persistence_threshold": "auto",
      "stage3_max_live_parameters": 1e9, "stage3_max_reuse_distance": 1e9,
      "gather_16bit_weights_on_model_save": true}, "gradient_accumulation_steps": 4, "gradient_clipping": 1.0,
      "steps_per_print": 10, "train_batch_size": 0, "train_micro_batch_size_per_gpu": 4,
      "wall_clock_breakdown": false})",
              "\"learning_rate\": 1e-4, \"per_device_train_batch_size\": 4, \"gradient_accumulation_steps\": 4, "
              "\"warmup_steps\": 100, \"fp16\": true"),
      "");
  EXPECT_EQ(refusal(R"({"train_batch_size": 32, "gradient_accumulation_steps": 4, "fp16": {"enabled": true,
      "loss_scale": 0}, "zero_optimization": {"stage": 2, "allgather_partitions": true, "allgather_bucket_size": 5e8,
      "overlap_comm": true, "reduce_scatter": true, "reduce_bucket_size": 5e8, "contiguous_gradients": true}})"),
            "");
}

TEST(DeepSpeed, AnObjectInPlaceOfAFileAndASwitchThatIsOff) {
  const LoadedConfig on = load_with(R"("deepspeed": {"gradient_clipping": 0.5})");
  EXPECT_TRUE(on.args.use_deepspeed);
  EXPECT_EQ(on.args.max_grad_norm, 0.5);
  const LoadedConfig off = load_with(R"("deepspeed": {"gradient_clipping": 0.5}, "use_deepspeed": false)");
  EXPECT_EQ(off.args.max_grad_norm, 1);
  EXPECT_THAT(off.notes, Contains(HasSubstr("deepspeed (use_deepspeed is false)")));
}

TEST(DeepSpeed, WhatIsAskedForAndDoesNothingIsNamed) {
  const LoadedConfig loaded = load_with(R"("deepspeed": {"wandb": {"enabled": true, "project": "p"},
      "activation_checkpointing": {"cpu_checkpointing": true}, "tensorboard": {"enabled": false},
      "flops_profiler": {}, "wall_clock_breakdown": false, "steps_per_print": 10})");
  EXPECT_THAT(loaded.notes,
              Contains("DeepSpeed: without effect: wandb (Lathe reports in its own way), "
                       "activation_checkpointing (gradient_checkpointing decides what is computed again)"));
  EXPECT_THAT(load_with(R"("deepspeed": {"gradient_clipping": 0.5})").notes,
              ::testing::Not(Contains(HasSubstr("without effect"))));
}

TEST(DeepSpeed, MoreRanksAreRefused) {
  for (const char* variable : {"WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}) {
    ::setenv(variable, "2", 1);
    const std::string sentence = sentence_with("\"use_deepspeed\": true");
    ::setenv(variable, "1", 1);
    EXPECT_EQ(sentence_with("\"use_deepspeed\": true"), "");
    ::unsetenv(variable);
    EXPECT_THAT(sentence, HasSubstr(std::string(variable) + " is 2: more than one rank is not part of this version"));
  }
}

}  // namespace
}  // namespace lathe
