// lathe init through the program: the values themselves are compared with transformers' in tests/model.
#include <gmock/gmock.h>

#include "app/run_lathe.h"
#include "base/safetensors.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;

class Init : public ProgramTest {};

TEST_F(Init, TheSeedDecides) {
  for (const std::string words : {"--seed 1 -o one", "--seed 1 -o same", "--seed 2 -o other"}) {
    ASSERT_EQ(run_lathe(folder_, "init --config model.json " + words).exit_code, 0);
  }
  const std::string one = read_text(path("one/model.safetensors"));
  EXPECT_EQ(one, read_text(path("same/model.safetensors")));
  EXPECT_NE(one, read_text(path("other/model.safetensors")));
}

TEST_F(Init, TheTypeIsWrittenInBothFiles) {
  ASSERT_EQ(run_lathe(folder_, "init --config model.json --dtype bfloat16 -o narrow").exit_code, 0);
  const SafetensorsFile file = SafetensorsFile::open(path("narrow/model.safetensors"));
  EXPECT_FALSE(file.tensors().empty());
  for (const auto& [name, tensor] : file.tensors()) {
    EXPECT_EQ(tensor.dtype, DType::kBF16) << name;
  }
  EXPECT_EQ(Json::parse(read_text(path("narrow/config.json"))).at("dtype"), "bfloat16");
}

TEST_F(Init, AModelIsNotWrittenOver) {
  const std::string before = read_text(path("model/model.safetensors"));
  const ProgramRun run = run_lathe(folder_, "init --config model.json --seed 9 -o model");
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.output, HasSubstr("--output"));
  EXPECT_EQ(read_text(path("model/model.safetensors")), before);
}

TEST_F(Init, WrongWordsAreTwo) {
  EXPECT_EQ(run_lathe(folder_, "init --config gone.json -o new").exit_code, 2);
  EXPECT_EQ(run_lathe(folder_, "init --config model.json --dtype int8 -o new").exit_code, 2);
  EXPECT_EQ(run_lathe(folder_, "init --config model.json --tokenizer gone -o new").exit_code, 2);
  EXPECT_FALSE(exists("new/model.safetensors"));
}

}  // namespace
}  // namespace lathe
