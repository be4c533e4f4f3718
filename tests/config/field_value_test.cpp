// Sentences are compared word for word: they are what a user sees.
#include "config/field_value.h"

#include "config/config_testing.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;

TEST(FieldValue, WrongTypesAreNotCoerced) {
  EXPECT_EQ(sentence_with("\"learning_rate\": \"1e-4\""),
            "FILE:3: 'learning_rate': expected a number, found the text \"1e-4\"; write 1e-4 without quotes");
  EXPECT_EQ(sentence_with("\"lora_r\": 8.5"), "FILE:3: 'lora_r': expected a whole number, found 8.5");
  EXPECT_EQ(sentence_with("\"lora_r\": 8.0"), "FILE:3: 'lora_r': expected a whole number, found 8.0");
  EXPECT_EQ(sentence_with("\"bf16\": 1"), "FILE:3: 'bf16': expected true or false, found 1");
  EXPECT_EQ(sentence_with("\"bf16\": \"true\""),
            "FILE:3: 'bf16': expected true or false, found the text \"true\"; write true without quotes");
  EXPECT_EQ(sentence_with("\"cache_dir\": \"x\", \"model_name_or_path\": null"),
            "FILE:3: 'model_name_or_path': expected text, found null");
  EXPECT_EQ(sentence_with("\"max_steps\": \"None\""),
            "FILE:3: 'max_steps': expected a whole number, found the text \"None\"; write null without quotes");
  EXPECT_EQ(sentence_with("\"eval_data_path\": [1]"),
            "FILE:3: 'eval_data_path': expected text or a list of texts, found the list [1]");
  EXPECT_EQ(sentence_with("\"lr_scheduler_kwargs\": 1"), "FILE:3: 'lr_scheduler_kwargs': expected an object, found 1");
  EXPECT_EQ(sentence_with("\"lr_scheduler_kwargs\": \"x\""),
            "FILE:3: 'lr_scheduler_kwargs': expected an object, found the text \"x\"");
  EXPECT_EQ(sentence_with("\"resume_from_checkpoint\": 3"),
            "FILE:3: 'resume_from_checkpoint': expected true, false, null or a path, found 3");
  EXPECT_EQ(sentence_with("\"enable_thinking\": 3"),
            "FILE:3: 'enable_thinking': expected true, false or null, found 3");
  EXPECT_EQ(sentence_with("\"cache_dir\": {}"), "FILE:3: 'cache_dir': expected text or null, found the object {}");
  EXPECT_EQ(sentence_with("\"lora_target_modules\": 3"),
            "FILE:3: 'lora_target_modules': expected text, a list of texts or null, found 3");
  EXPECT_EQ(sentence_with("\"load_in_4bit\": 1"), "FILE:3: 'load_in_4bit': expected true or false, found 1");
}

TEST(FieldValue, RangesAndChoices) {
  EXPECT_EQ(sentence_with("\"lora_r\": 0"), "FILE:3: 'lora_r': 0 is out of range; allowed: from 1 to 1048576");
  EXPECT_EQ(sentence_with("\"lora_dropout\": 1"),
            "FILE:3: 'lora_dropout': 1 is out of range; allowed: from 0 to below 1");
  EXPECT_EQ(sentence_with("\"val_size\": 500"), "FILE:3: 'val_size': 500 is out of range; allowed: from 0 to below 1");
  EXPECT_EQ(sentence_with("\"seed\": -1"), "FILE:3: 'seed': -1 is out of range; allowed: from 0");
  EXPECT_EQ(sentence_with("\"max_steps\": 18446744073709551615"),
            "FILE:3: 'max_steps': 18446744073709551615 is out of range; allowed: from -1 to 1099511627776");
  EXPECT_EQ(sentence_with("\"logging_steps\": 2.5"),
            "FILE:3: 'logging_steps': 2.5 is neither a whole number nor a share below 1; "
            "allowed: 0, a share below 1, or a whole number to 1099511627776");
  EXPECT_EQ(sentence_with("\"truncation_side\": \"middle\""),
            "FILE:3: 'truncation_side': \"middle\" is not supported; allowed: right | left");
  EXPECT_EQ(sentence_with("\"max_time\": \"90m\""),
            "FILE:3: 'max_time': \"90m\" is no duration; write it as \"hh:mm:ss\"");
  EXPECT_EQ(sentence_with("\"lora_target_modules\": \" , \""),
            "FILE:3: 'lora_target_modules': names no module; give names such as \"q_proj,v_proj\", or \"all-linear\"");
  EXPECT_EQ(sentence_with("\"target_modules\": [\"q.*\"]"),
            "FILE:3: 'target_modules': \"q.*\" in the list is no module name; "
            "give names alone in a list, or one regular expression as text");
  EXPECT_EQ(sentence_with("\"quantization_bit\": 6"), "FILE:3: 'quantization_bit': 6 is out of range; allowed: 4 | 8");
}

TEST(FieldValue, ReportsToServicesAreRefusedByName) {
  for (const char* service : {"wandb", "mlflow", "swanlab", "comet_ml", "trackio"}) {
    EXPECT_THAT(
        sentence_with(std::string("\"report_to\": \"") + service + "\""),
        HasSubstr(std::string("'report_to': reporting to ") + service + " is not supported; use \"tensorboard\""));
  }
  EXPECT_EQ(sentence_with("\"report_to\": [\"paper\"]"),
            "FILE:3: 'report_to': \"paper\" is not supported; allowed: tensorboard | none");
}

}  // namespace
}  // namespace lathe
