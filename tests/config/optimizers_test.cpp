#include "config/optimizers.h"

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "config/config_testing.h"

namespace lathe {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

std::string with_args(const std::string& optim, const std::string& optim_args) {
  return R"("optim": ")" + optim + R"(", "optim_args": ")" + optim_args + "\"";
}

OptimizerSettings settings_of(const std::string& optim, const std::string& optim_args) {
  return optimizer_settings(load_with(with_args(optim, optim_args)).args);
}

TEST(Optimizers, ArgumentsAreReadAsTransformersReadsThem) {
  const OptimizerSettings sgd = settings_of("sgd", "momentum = 0.9, dampening=0,nesterov=Yes");
  EXPECT_EQ(sgd.kind, OptimizerKind::kSgd);
  EXPECT_EQ(sgd.momentum, 0.9);
  EXPECT_TRUE(sgd.nesterov);
  const OptimizerSettings adagrad = settings_of("adagrad", "lr_decay=1e-2");
  EXPECT_EQ(adagrad.lr_decay, 0.01);
  EXPECT_EQ(adagrad.epsilon, 1e-10);  // torch's, not adam_epsilon
  const OptimizerSettings rmsprop = settings_of("rmsprop", "alpha=0.9, eps=1e-6, centered=true, momentum=0.5");
  EXPECT_EQ(rmsprop.alpha, 0.9);
  EXPECT_EQ(rmsprop.epsilon, 1e-6);
  EXPECT_EQ(rmsprop.momentum, 0.5);
  EXPECT_TRUE(rmsprop.centered);
  EXPECT_EQ(settings_of("rmsprop", "").alpha, 0.99);
}

TEST(Optimizers, AdEMAMixTakesItsOwnMoments) {
  const OptimizerSettings plain = settings_of("ademamix", "");
  EXPECT_EQ(plain.beta3, 0.9999);
  EXPECT_EQ(plain.alpha, 5);
  const OptimizerSettings given = settings_of("paged_ademamix_32bit", "beta1=0.8, alpha=8, t_alpha=100, t_beta3=200");
  EXPECT_EQ(given.beta1, 0.8);
  EXPECT_EQ(given.alpha, 8);
  EXPECT_EQ(given.t_alpha, 100);
  EXPECT_EQ(given.t_beta3, 200);
  EXPECT_THAT(sentence_with(with_args("ademamix", "beta3=1")), HasSubstr("beta3 1 is out of range"));
  EXPECT_THAT(sentence_with(with_args("ademamix", "t_alpha=2.5")), HasSubstr("t_alpha 2.5 is out of range"));
  EXPECT_THAT(sentence_with(with_args("ademamix", "beta1=0, t_beta3=5")), HasSubstr("t_beta3 needs beta1 and beta3"));
}

TEST(Optimizers, MomentsOfAdamAndLionAreTheirOwnKeys) {
  const LoadedConfig loaded = load_with(R"("optim": "lion_32bit", "adam_beta1": 0.95, "adam_beta2": 0.98)");
  const OptimizerSettings lion = optimizer_settings(loaded.args);
  EXPECT_EQ(lion.kind, OptimizerKind::kLion);
  EXPECT_EQ(lion.beta1, 0.95);
  EXPECT_EQ(lion.beta2, 0.98);
  EXPECT_EQ(optimizer_settings(load_with(R"("adam_epsilon": 1e-5)").args).epsilon, 1e-5);
}

TEST(Optimizers, ArgumentsThatReachNothingAreRefusedByName) {
  EXPECT_EQ(sentence_with("\"optim\": \"sgd\",\n\"optim_args\": \"beta=0.9\""),
            "FILE:4: 'optim_args': \"sgd\" has no 'beta'; it takes momentum, dampening, nesterov");
  EXPECT_THAT(sentence_with(with_args("adamw_torch", "betas=0.9")),
              HasSubstr("\"adamw_torch\" takes no arguments in transformers, found 'betas'; remove optim_args"));
  EXPECT_THAT(sentence_with(with_args("lion_32bit", "beta1=0.9")), HasSubstr("takes no arguments in transformers"));
  EXPECT_THAT(sentence_with(with_args("adafactor", "clip_threshold=2")),
              HasSubstr("takes no arguments in transformers"));
  EXPECT_THAT(
      sentence_with(with_args("sgd", "weight_decay=0.1")),
      HasSubstr("weight_decay reaches no parameter in transformers, whose groups bring their own; use the key"));
  EXPECT_THAT(sentence_with(with_args("sgd", "momentum")), HasSubstr("\"momentum\" is not of the form key=value"));
  EXPECT_THAT(sentence_with(with_args("sgd", "momentum=a")), HasSubstr("momentum is a number, found \"a\""));
  EXPECT_THAT(sentence_with(with_args("sgd", "momentum=-1")), HasSubstr("momentum -1 is out of range"));
  EXPECT_THAT(sentence_with(with_args("rmsprop", "alpha=1.5")), HasSubstr("alpha 1.5 is out of range"));
  EXPECT_THAT(sentence_with(with_args("rmsprop", "centered=maybe")), HasSubstr("centered is true or false"));
  EXPECT_THAT(sentence_with(with_args("sgd", "nesterov=true")), HasSubstr("nesterov needs a momentum above 0"));
  EXPECT_THAT(sentence_with(with_args("sgd", "nesterov=true, momentum=0.9, dampening=0.1")),
              HasSubstr("nesterov needs a momentum above 0 and no dampening"));
}

/// tests/oracle/config_keys.py: transformers' OptimizerNames of both versions.
TEST(Optimizers, EveryNameOfTransformersIsTakenOrRefusedWithWhatIsNearest) {
  const Json names = read_json_file(LATHE_SOURCE_DIR "/tests/oracle/values/config_keys.json")["optimizers"];
  EXPECT_GT(names.size(), 40U);
  for (const Json& one : names) {
    const auto name = one.get<std::string>();
    const std::string sentence = sentence_with("\"optim\": \"" + name + "\"");
    if (sentence.empty()) {
      EXPECT_THAT(optimizer_names(), Contains(::testing::StrEq(name)));
      EXPECT_EQ(foreign_optimizer_advice(name), nullptr) << name;
    } else {
      EXPECT_THAT(sentence, HasSubstr("FILE:3: 'optim': \"" + name + "\" is not part of this version; "));
      EXPECT_THAT(sentence, HasSubstr("\""));  // a name that there is
    }
  }
  EXPECT_THAT(sentence_with("\"optim\": \"greedy\""),
              HasSubstr("'optim': \"greedy\" is not supported; allowed: adamw_torch | adamw_torch_fused | "));
}

TEST(Optimizers, PagingIsSaidToBeNothingOnACpu) {
  EXPECT_THAT(load_with(R"("optim": "paged_adamw_32bit")").notes,
              Contains(HasSubstr("paged_adamw_32bit: on a CPU there is nothing to page")));
  EXPECT_THAT(load_with(R"("optim": "lion_32bit")").notes, Not(Contains(HasSubstr("nothing to page"))));
}

TEST(LoraPlus, DecayIsItsOwnOrTheRuns) {
  const std::string on = R"("use_lora": true, "loraplus_lr_ratio": 16, "weight_decay": 0.1)";
  EXPECT_EQ(load_with(on).args.loraplus_weight_decay, 0.1);
  EXPECT_EQ(load_with(on + R"(, "loraplus_weight_decay": 0)").args.loraplus_weight_decay, 0);
  EXPECT_THAT(load_with(R"("loraplus_lr_ratio": 16)").notes,
              Contains(HasSubstr("loraplus_lr_ratio (use_lora is false)")));
  EXPECT_THAT(load_with(R"("use_lora": true, "loraplus_weight_decay": 0.1)").notes,
              Contains(HasSubstr("loraplus_weight_decay (loraplus_lr_ratio is 0)")));
}

TEST(LoraPlus, SchedulesThatSetEveryGroupAlikeAreRefused) {
  const std::string on = R"("use_lora": true, "loraplus_lr_ratio": 16)";
  EXPECT_THAT(sentence_with(on + R"(, "lr_scheduler_type": "WarmupLR")"),
              HasSubstr("LoRA+ with the schedule WarmupLR is not part of this version"));
  EXPECT_THAT(sentence_with(on + R"(, "lr_scheduler_type": "reduce_lr_on_plateau", "eval_strategy": "steps")"),
              HasSubstr("LoRA+ with the schedule reduce_lr_on_plateau"));
  EXPECT_THAT(sentence_with(on + R"(, "deepspeed": {"optimizer": {"type": "AdamW"}})"),
              HasSubstr("LoRA+ with an optimizer block of DeepSpeed's"));
}

}  // namespace
}  // namespace lathe
