#include "config/spelling.h"

#include <gtest/gtest.h>

namespace lathe {
namespace {

TEST(Spelling, DistanceCountsEdits) {
  EXPECT_EQ(edit_distance("", ""), 0);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);  // Levenshtein's textbook pair
  EXPECT_EQ(edit_distance("ca", "ac"), 1);           // neighbours swapped
  EXPECT_EQ(edit_distance("abc", ""), 3);
  EXPECT_EQ(edit_distance("max_stpes", "max_steps"), 1);
}

TEST(Spelling, NearestKnownKey) {
  EXPECT_EQ(nearest_key("lerning_rate"), "learning_rate");
  EXPECT_EQ(nearest_key("cutof_len"), "cutoff_len");
  EXPECT_EQ(nearest_key("push_to_hb"), "push_to_hub");
}

}  // namespace
}  // namespace lathe
