#include "engine/trainable.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <lathe/error.h>

namespace lathe {
namespace {

ModelShape tiny(bool tied) {
  ModelShape shape;
  shape.vocab_size = 8;
  shape.hidden_size = 4;
  shape.num_layers = 1;
  shape.tie_word_embeddings = tied;
  return shape;
}

const ParameterId kEmbedding{BlockId::embedding(), Site::kEmbedTokens, Part::kWeight};
const ParameterId kHead{BlockId::head(), Site::kLmHead, Part::kWeight};
const ParameterId kNorm{BlockId::head(), Site::kFinalNorm, Part::kWeight};
const ParameterId kQuery{BlockId::decoder(0), Site::kQ, Part::kWeight};
const ParameterId kQueryBias{BlockId::decoder(0), Site::kQ, Part::kBias};
const ParameterId kQueryA{BlockId::decoder(0), Site::kQ, Part::kLoraA};

TensorMap weights(at::ScalarType dtype) {
  TensorMap map;
  map[kEmbedding] = at::rand({8, 4}).to(dtype);
  map[kNorm] = at::rand({4}).to(dtype);
  map[kQuery] = at::rand({4, 4}).to(dtype);
  map[kQueryBias] = at::rand({4}).to(dtype);
  map[kQueryA] = at::rand({2, 4});
  return map;
}

TEST(ParameterStore, TiedHeadIsTheEmbeddingAndSumsBothEnds) {
  ParameterStore store(tiny(true), weights(at::kFloat), {kEmbedding});
  const at::Tensor head = store.acquire(BlockId::head()).get(Site::kLmHead);
  const at::Tensor embedding = store.acquire(BlockId::embedding()).get(Site::kEmbedTokens);
  EXPECT_TRUE(head.is_same(embedding));
  EXPECT_TRUE(store.wants(kEmbedding));
  EXPECT_TRUE(store.wants(kHead));
  EXPECT_FALSE(store.wants(kNorm));
  store.ready(kEmbedding, at::ones({8, 4}), false);
  store.ready(kHead, at::ones({8, 4}) * 2, true);
  EXPECT_EQ(store.parameters()[0].gradient.sum().item<float>(), 96.0F);
  store.forget_gradients();
  EXPECT_TRUE(store.borrow(kEmbedding).fresh);
  store.complete_gradients();
  EXPECT_EQ(store.parameters()[0].gradient.sum().item<float>(), 0.0F);
  EXPECT_FALSE(store.borrow(kEmbedding).fresh);
}

TEST(ParameterStore, DecayStopsAtBiasesAndNorms) {
  ParameterStore store(tiny(true), weights(at::kFloat), {kEmbedding, kNorm, kQuery, kQueryBias, kQueryA});
  std::vector<bool> decay;
  for (const TrainableParameter& parameter : store.parameters()) decay.push_back(parameter.decay);
  EXPECT_EQ(decay, (std::vector<bool>{true, false, true, false, true}));
}

TEST(ParameterStore, NarrowComputeKeepsUnroundedMasters) {
  TensorMap map = weights(at::kFloat);
  const at::Tensor given = map[kQuery].clone();
  ParameterStore store(tiny(true), std::move(map), {kQuery, kQueryA}, at::kBFloat16);
  const TrainableParameter& query = store.parameters()[0];
  EXPECT_TRUE(at::equal(query.master.weight, given.to(at::kBFloat16)));
  const std::vector<StateTensor> state = store.state(0);
  ASSERT_EQ(state.size(), 1u);
  EXPECT_EQ(state[0].suffix, ".master");
  EXPECT_TRUE(at::allclose(state[0].read(0, 16).view({4, 4}), given, 1e-7, 0));
  state[0].write(given + 1.0);
  EXPECT_TRUE(at::equal(store.acquire(BlockId::decoder(0)).get(Site::kQ), (given + 1.0).to(at::kBFloat16)));
}

TEST(ParameterStore, AdaptersAreReadRoundedAndSavedWhole) {
  TensorMap map = weights(at::kFloat);
  map[kQueryA] = at::rand_like(map[kQueryA]);
  const at::Tensor given = map[kQueryA].clone();
  const ParameterStore store(tiny(true), std::move(map), {kQueryA}, at::kBFloat16);
  EXPECT_TRUE(at::equal(store.parameters()[0].master.weight, given.to(at::kBFloat16)));
  EXPECT_TRUE(store.state(0).empty());  // its own file has the master
  const StateTensor master = store.master(0);
  EXPECT_EQ(master.suffix, "");
  EXPECT_TRUE(at::allclose(master.read(0, given.numel()).view(given.sizes()), given, 1e-7, 0));
}

TEST(ParameterStore, GradientsOfOneMicroBatchStayAsTheProductLeavesThem) {
  const auto types = [](GradientStorage storage, at::ScalarType compute) {
    const ParameterStore store(tiny(true), weights(at::kFloat), {kQuery, kQueryBias, kNorm, kQueryA}, compute, storage);
    std::vector<at::ScalarType> all;
    for (const TrainableParameter& parameter : store.parameters()) all.push_back(parameter.gradient.scalar_type());
    return all;
  };
  using Types = std::vector<at::ScalarType>;
  EXPECT_EQ(types(GradientStorage::kComputeType, at::kBFloat16),
            (Types{at::kBFloat16, at::kFloat, at::kFloat, at::kBFloat16}));
  EXPECT_EQ(types(GradientStorage::kComputeType, at::kFloat), (Types(4, at::kFloat)));
  EXPECT_EQ(types(GradientStorage::kFloat, at::kBFloat16), (Types(4, at::kFloat)));
}

TEST(ParameterStore, WithoutMastersBf16IsAllThereIs) {
  TensorMap map = weights(at::kFloat);
  const at::Tensor given = map[kQuery].clone();
  ParameterStore store(tiny(true), std::move(map), {kQuery, kNorm}, at::kBFloat16, GradientStorage::kFloat,
                       MasterStorage::kNone);
  EXPECT_TRUE(at::equal(store.parameters()[0].master.weight, given.to(at::kBFloat16)));
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_FALSE(store.parameters()[i].master.rest.defined());
    EXPECT_TRUE(store.state(i).empty());
  }
  store.load_trained({{kQuery, given + 1.0}, {kNorm, at::ones({4})}});
  EXPECT_TRUE(at::equal(store.acquire(BlockId::decoder(0)).get(Site::kQ), (given + 1.0).to(at::kBFloat16)));
}

TEST(ParameterStore, Fp16HasItsWholeMasterBesideIt) {
  TensorMap map = weights(at::kFloat);
  const at::Tensor given = map[kQuery].clone();
  ParameterStore store(tiny(true), std::move(map), {kQuery, kNorm}, at::kHalf, GradientStorage::kComputeType);
  const TrainableParameter& query = store.parameters()[0];
  EXPECT_TRUE(at::equal(query.master.weight, given.to(at::kHalf)));
  EXPECT_TRUE(at::equal(query.master.rest, given));
  EXPECT_EQ(query.gradient.scalar_type(), at::kFloat);
  EXPECT_TRUE(at::equal(store.master(0).tensor, given));
  store.load_trained({{kQuery, given + 1.0}, {kNorm, at::ones({4})}});
  EXPECT_TRUE(at::equal(store.acquire(BlockId::decoder(0)).get(Site::kQ), (given + 1.0).to(at::kHalf)));
}

TEST(ParameterStore, TrainsACopyOfWhatItWasGiven) {
  TensorMap map = weights(at::kFloat);
  const at::Tensor given = map[kQuery];
  const at::Tensor before = given.clone();
  ParameterStore store(tiny(true), std::move(map), {kQuery});
  store.parameters()[0].master.weight.zero_();
  EXPECT_TRUE(at::equal(given, before));
  EXPECT_EQ(store.num_trainable(), 16);
  EXPECT_EQ(store.num_total(), 32 + 4 + 16 + 4 + 8);
}

TEST(ParameterStore, WhatIsNotFiniteIsNamed) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    ParameterStore store(tiny(true), weights(at::kFloat), {kQuery, kQueryA}, type);
    EXPECT_NO_THROW(store.require_finite());
    at::Tensor values = at::ones({4, 4});
    values[1][2] = std::numeric_limits<float>::infinity();
    ops::assign_master(store.parameters()[0].master, values);
    try {
      store.require_finite();
      FAIL() << "accepted";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(hf_name(kQuery)), std::string::npos) << error.what();
      EXPECT_EQ(exit_code(error.kind()), 1);
    }
  }
}

TEST(ParameterStore, LoadTrainedNamesWhatDoesNotFit) {
  ParameterStore store(tiny(true), weights(at::kFloat), {kQuery});
  EXPECT_THROW(store.load_trained({}), Error);
  EXPECT_THROW(store.load_trained({{kQuery, at::zeros({4, 4})}, {kNorm, at::zeros({4})}}), Error);  // it does not train
  try {
    store.load_trained({{kQuery, at::zeros({4, 5})}});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("q_proj"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("4, 5"), std::string::npos);
  }
  store.load_trained({{kQuery, at::full({4, 4}, 3.0)}});
  EXPECT_EQ(store.acquire(BlockId::decoder(0)).get(Site::kQ).sum().item<float>(), 48.0F);
}

}  // namespace
}  // namespace lathe
