// Sentences are compared word for word: they are what a user sees.
#include "config/checks.h"
#include "config/config_testing.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;

TEST(Supported, WhatThisVersionLacksIsRefusedByName) {
  EXPECT_EQ(sentence_with("\"optim\": \"adalomo\""),
            "FILE:3: 'optim': \"adalomo\" is not part of this version; use \"adafactor\"");
  EXPECT_THAT(sentence_with("\"lr_scheduler_type\": \"greedy\""),
              HasSubstr("'lr_scheduler_type': \"greedy\" is not supported"));
  EXPECT_THAT(sentence_with("\"train_sampling_strategy\": \"batch_rebalance\""),
              HasSubstr("'train_sampling_strategy': \"batch_rebalance\" is not supported"));
  EXPECT_THAT(sentence_with("\"zero_offload_dir\": \"/nvme\""),
              HasSubstr("'zero_offload_dir' is not supported with the value"));
  EXPECT_THAT(sentence_with("\"fsdp\": \"full_shard\""),
              HasSubstr("'fsdp' is not supported with the value \"full_shard\""));
}

}  // namespace
}  // namespace lathe
