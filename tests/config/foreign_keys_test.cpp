#include "config/foreign_keys.h"

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "config/config_testing.h"
#include "config/fields.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;

/// The keys of transformers' TrainingArguments, old and new, by the script in tests/oracle/config_keys.py.
TEST(ForeignKeys, EveryKeyOfTransformersIsKnown) {
  const Json values = read_json_file(LATHE_SOURCE_DIR "/tests/oracle/values/config_keys.json");
  for (const char* version : {"keys_4.51.3", "keys_5"}) {
    EXPECT_GT(values[version].size(), 100U);
    for (const Json& key : values[version]) {
      const auto name = key.get<std::string>();
      EXPECT_TRUE(find_field(name) != nullptr || find_foreign_key(name) != nullptr) << version << ": " << name;
    }
  }
}

/// A configuration that holds a harmless value of a foreign key loads and names it; another value is refused by name.
TEST(ForeignKeys, ForeignKeysAreAcceptedOrRefused) {
  for (const ForeignKey& key : foreign_keys()) {
    const std::string first = std::string(key.harmless).substr(0, std::string(key.harmless).find(' '));
    const std::string value = first == "*" ? "true" : first;
    const LoadedConfig loaded = load_with("\"" + std::string(key.name) + "\": " + value);
    EXPECT_THAT(loaded.notes, ::testing::Contains(HasSubstr(key.name))) << key.name;
    if (first == "*") continue;
    const std::string refused = sentence_with("\"" + std::string(key.name) + "\": 123456");
    EXPECT_EQ(refused, "FILE:3: '" + std::string(key.name) + "' is not supported with the value 123456; " + key.advice);
  }
}

}  // namespace
}  // namespace lathe
