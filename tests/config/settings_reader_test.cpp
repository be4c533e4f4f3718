// Sentences are compared word for word: they are what a user sees.
#include "config/settings_reader.h"

#include "config/config_testing.h"

namespace lathe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(SettingsReader, UnknownKeyNamesTheNearest) {
  EXPECT_EQ(sentence_with("\"seed\": 1,\n\"lora_rr\": 8"),
            "FILE:4: 'lora_rr' is not a known key; did you mean 'lora_r'?");
  EXPECT_EQ(sentence_with("\"learnign_rate\": 1"),
            "FILE:3: 'learnign_rate' is not a known key; did you mean 'learning_rate'?");
}

TEST(SettingsReader, UnknownWord) {
  EXPECT_EQ(sentence_with("\"seed\": 1", {"max_stepps=3"}),
            "'max_stepps' is not a known key; did you mean 'max_steps'?");
  EXPECT_EQ(sentence_with("\"seed\": 1", {"max_steps"}),
            "\"max_steps\" is no key=value; write for example max_steps=20");
  EXPECT_EQ(sentence_with("\"seed\": 1", {"max_steps=many"}),
            "'max_steps': expected a whole number, found the text \"many\"");
}

TEST(SettingsReader, TwoSpellingsThatDiffer) {
  EXPECT_EQ(sentence_with("\"lora_r\": 8,\n\"lora_rank\": 16"),
            "FILE:4: 'lora_r' and 'lora_rank' are two spellings of one setting with different values, 8 and 16; keep "
            "'lora_r' alone");
  EXPECT_EQ(sentence_with("\"eval_strategy\": \"no\",\n\"evaluation_strategy\": \"steps\""),
            "FILE:4: 'eval_strategy' and 'evaluation_strategy' are two spellings of one setting with different values, "
            "\"no\" and "
            "\"steps\"; keep 'eval_strategy' alone");
  EXPECT_EQ(
      sentence_with("\"load_in_4bit\": true,\n\"load_in_8bit\": true"),
      "FILE:4: 'load_in_4bit' and 'load_in_8bit' are two spellings of one setting with different values, 4 and 8; keep "
      "'quantization_bit' alone");
  EXPECT_THAT(sentence_with("\"dataset\": \"other.jsonl\""), HasSubstr("'data_path' and 'dataset' are two spellings"));
  EXPECT_EQ(sentence_with("\"warmup_steps\": 10,\n\"warmup_ratio\": 0.5"),
            "FILE:4: 'warmup_steps' (10) and 'warmup_ratio' (0.5) are two spellings of one setting with different "
            "values; keep one of "
            "them");
  EXPECT_EQ(sentence_with("\"bf16\": true,\n\"fp16\": true"),
            "FILE:4: 'bf16' and 'fp16' are both true; set one of them to false");
}

TEST(SettingsReader, QuantisationThatIsSwitchedOff) {
  const std::string differ =
      " are two spellings of one setting with different values, true and false; keep one of them";
  EXPECT_EQ(sentence_with("\"use_qlora\": true,\n\"load_in_4bit\": false"),
            "FILE:4: 'use_qlora' and 'load_in_4bit'" + differ);
  EXPECT_EQ(sentence_with("\"load_in_8bit\": false,\n\"quantization_bit\": 8,\n\"use_qlora\": true"),
            "FILE:3: 'use_qlora' and 'load_in_8bit'" + differ);
  EXPECT_EQ(sentence_with("\"seed\": 1", {"use_qlora=true", "load_in_4bit=false"}),
            "'use_qlora' and 'load_in_4bit'" + differ);
  EXPECT_TRUE(load_with(R"("use_qlora": true, "load_in_8bit": false)").args.use_qlora);
  EXPECT_EQ(load_with(R"("load_in_4bit": false, "load_in_8bit": true)").args.quantization_bit, 8);
  EXPECT_FALSE(load_with(R"("load_in_4bit": false)").args.use_qlora);
}

TEST(SettingsReader, ALaterSourceSwitchesQuantisationOffAndOn) {
  const TrainingArguments off = load_with(R"("use_qlora": true, "use_lora": false)", {"load_in_4bit=false"}).args;
  EXPECT_FALSE(off.use_qlora);
  EXPECT_TRUE(off.use_lora);
  EXPECT_FALSE(load_with(R"("use_qlora": true)", {"load_in_4bit=false", "use_lora=false"}).args.use_lora);
  EXPECT_FALSE(load_with(R"("load_in_8bit": true)", {"load_in_8bit=false"}).args.use_qlora);
  EXPECT_TRUE(load_with(R"("use_qlora": true)", {"load_in_8bit=false"}).args.use_qlora);
  EXPECT_TRUE(load_with(R"("use_qlora": true)", {"load_in_4bit=false", "quantization_bit=8"}).args.use_qlora);
  EXPECT_TRUE(load_with(R"("load_in_4bit": false)", {"use_qlora=true"}).args.use_qlora);
  EXPECT_FALSE(load_with(R"("seed": 1)", {"load_in_4bit=true", "load_in_4bit=false"}).args.use_qlora);
  EXPECT_TRUE(load_with(R"("seed": 1)", {"load_in_4bit=false", "load_in_4bit=true"}).args.use_qlora);
}

TEST(SettingsReader, WordsForTextAreTakenAsTheyWereTyped) {
  const auto output_dir = [](const std::string& word) {
    return load_with(R"("seed": 1)", {"output_dir=" + word}).args.output_dir;
  };
  for (const char* word : {"2024.10", "1e5", "2024", "true", "1.0", "[1,  2]"}) EXPECT_EQ(output_dir(word), word);
  EXPECT_EQ(load_with(R"("seed": 1)", {"data_path=1.50"}).args.data_path, std::vector<std::string>{"1.50"});
  EXPECT_EQ(load_with(R"("seed": 1)", {"resume_from_checkpoint=2.0"}).args.resume_from_checkpoint, "2.0");
}

TEST(SettingsReader, FilesThatAreNoConfiguration) {
  EXPECT_EQ(sentence_of(write_config("[1]\n")), "FILE:1: a configuration is one JSON object of keys and values");
  EXPECT_EQ(sentence_of(write_config("{\"seed\": 1}\n")),
            "FILE: there is no training data: 'data_path' is not set; name one or more files of rows");
  EXPECT_THAT(sentence_of(write_config("{\n\"seed\": 1\n\"lora_r\": 2}\n")), HasSubstr("FILE:3"));
  EXPECT_THAT(sentence_of(::testing::TempDir() + "/not-there.json"), HasSubstr("FILE"));
}

TEST(SettingsReader, ValidateListsEveryProblem) {
  const std::string path = config_with("\"lora_rr\": 8,\n\"bf16\": 1,\n\"lora_bias\": true");
  EXPECT_THAT(validate_config(path),
              ElementsAre(HasSubstr(":3: 'lora_rr' is not a known key"), HasSubstr(":4: 'bf16': expected true"),
                          HasSubstr(":5: 'lora_bias' is not supported")));
  EXPECT_THAT(validate_config(config_with("\"seed\": 1")), ::testing::IsEmpty());
  EXPECT_THAT(validate_config(::testing::TempDir() + "/not-there.json"), ElementsAre(HasSubstr("not-there.json")));
}

}  // namespace
}  // namespace lathe
