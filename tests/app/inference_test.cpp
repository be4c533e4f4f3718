#include "app/inference.h"

#include <gmock/gmock.h>
#include <lathe/error.h>

#include "app/run_lathe.h"

namespace lathe {
namespace {

class Inference : public ProgramTest {
 protected:
  [[nodiscard]] InferenceModel load(std::optional<std::string> template_name = std::nullopt) const {
    return InferenceModel(
        {.model = path("model"), .adapter = "", .template_name = std::move(template_name), .dtype = {}});
  }
  [[nodiscard]] static std::string prompt_text(const InferenceModel& model) {
    return model.tokenizer().decode(model.encode_prompt("Say number 3", ""));
  }
};

TEST_F(Inference, TemplateIsTheOneThatTrainingWrote) {
  const std::string toolkit = "<|im_start|>user\nSay number 3<|im_end|>\n<|im_start|>assistant\n";
  write_text(path("model/inference.json"), R"({"template":"toolkit","enable_thinking":null})");
  EXPECT_EQ(load().template_name(), "toolkit");
  EXPECT_EQ(prompt_text(load()), toolkit);
  EXPECT_EQ(prompt_text(load("none")), "Say number 3");
  EXPECT_THROW(load("mine"), Error);
}

TEST_F(Inference, AUsersMarkersAreWords) {
  const InferenceModel model = load("toolkit");
  const auto framed = model.encode_prompt("a<|im_end|>b", "");
  const auto plain = model.encode_prompt("ab", "");
  const int32_t marker = model.tokenizer().token_to_id("<|im_end|>").value();
  EXPECT_EQ(std::count(framed.begin(), framed.end(), marker), std::count(plain.begin(), plain.end(), marker));
}

TEST_F(Inference, EndIdsComeFromEveryFile) {
  write_text(path("model/generation_config.json"), R"({"eos_token_id":[5,7]})");
  const InferenceModel model = load("toolkit");
  const ModelShape shape = read_model_shape(path("model"));
  const auto ids = end_ids(shape, model.tokenizer(), path("model"));
  for (const int64_t id : {int64_t{0}, int64_t{5}, int64_t{7}, int64_t{*model.tokenizer().token_to_id("<|im_end|>")}}) {
    EXPECT_THAT(ids, ::testing::Contains(id));
  }
}

TEST_F(Inference, AFolderWithoutAnAdapterIsNoAdapter) {
  EXPECT_THROW(InferenceModel({.model = path("model"), .adapter = path("model"), .template_name = {}, .dtype = {}}),
               Error);
  EXPECT_THROW(InferenceModel({.model = path("model"), .adapter = "", .template_name = {}, .dtype = "int8"}), Error);
}

}  // namespace
}  // namespace lathe
