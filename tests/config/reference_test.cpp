#include "config/config_testing.h"
#include "config/fields.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;

TEST(ConfigReference, CommittedPageIsTheTablesOwn) {
  // Compared as a whole and not printed: both are long.
  EXPECT_TRUE(read_text_file(LATHE_SOURCE_DIR "/docs/config.md") == config_reference_markdown())
      << "print it anew: build/lathe validate --reference > docs/config.md";
}

TEST(ConfigReference, HelpNamesEverySettingWithItsDefault) {
  const std::string help = config_help();
  for (const FieldGroup& group : field_groups()) {
    for (const Field& field : group.fields) EXPECT_THAT(help, HasSubstr(std::string("\n  ") + field.name + ": "));
  }
  EXPECT_THAT(help, HasSubstr("  lora_r: 64\n"));
  EXPECT_THAT(help, HasSubstr("also spelled load_in_4bit, load_in_8bit"));
}

}  // namespace
}  // namespace lathe
