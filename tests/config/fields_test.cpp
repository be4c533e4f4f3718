#include "config/fields.h"

#include <gtest/gtest.h>

#include <set>

#include "config/foreign_keys.h"

namespace lathe {
namespace {

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

}  // namespace
}  // namespace lathe
