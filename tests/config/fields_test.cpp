#include "config/fields.h"

#include <fmt/format.h>

#include <set>

#include "config/config_testing.h"
#include "config/foreign_keys.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;

TEST(Fields, EveryKeyHasOneMeaning) {
  std::set<std::string> names;
  const auto add = [&](const std::string& name) { EXPECT_TRUE(names.insert(name).second) << name; };
  for (const FieldGroup& group : field_groups()) {
    for (const Field& field : group.fields) {
      add(field.name);
      for (const char* alias : field.aliases) add(alias);
    }
  }
  for (const ForeignKey& key : foreign_keys()) add(key.name);
}

/// Beyond these the run's length and the plan would no longer be numbers of 64 bits.
TEST(Fields, NumbersHaveAnUpperEnd) {
  const auto refused = [](const char* key, const char* value, const char* range) {
    EXPECT_THAT(sentence_with(fmt::format("\"{}\": {}", key, value)),
                ::testing::AllOf(HasSubstr(fmt::format("'{}': ", key)),
                                 HasSubstr(fmt::format("is out of range; allowed: {}", range))));
  };
  refused("num_train_epochs", "1e19", "above 0 to 1000000");
  refused("max_steps", "9007199254740992", "from -1 to 1099511627776");
  refused("save_steps", "1e19", "0, a share below 1, or a whole number to 1099511627776");
  refused("per_device_train_batch_size", "9007199254740992", "from 1 to 16384");
  refused("per_device_eval_batch_size", "9007199254740992", "from 1 to 16384");
  refused("gradient_accumulation_steps", "9007199254740992", "from 1 to 1048576");
  refused("lora_r", "9007199254740992", "from 1 to 1048576");
  refused("max_seq_length", "9007199254740992", "from 2 to 1048576");
  refused("dataloader_num_workers", "9007199254740992", "from 0 to 1024");
}

}  // namespace
}  // namespace lathe
