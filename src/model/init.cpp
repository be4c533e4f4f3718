// First weights of a model, drawn as transformers' from_config draws them after set_seed.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>

#include "base/memory_ledger.h"
#include "model/model_files.h"

namespace lathe {
namespace {

// torch's modules draw first values of their own before transformers draws the ones that stay; what they drew is lost,
// but the generator has moved on by it.
class Initializer {
 public:
  Initializer(const ModelShape& shape, uint64_t seed, at::ScalarType dtype)
      : shape_(shape),
        expected_(expected_shapes(shape)),
        dtype_(dtype),
        generator_(at::detail::createCPUGenerator(seed)) {}

  TensorMap run() {
    construct_embedding();
    for (int64_t layer = 0; layer < shape_.num_layers; ++layer) {
      for (const Site site : kProjections) construct_linear(BlockId::decoder(layer), site);
    }
    draw(BlockId::embedding(), Site::kEmbedTokens);
    for (int64_t layer = 0; layer < shape_.num_layers; ++layer) {
      for (const Site site : kProjections) draw(BlockId::decoder(layer), site);
    }
    // The head is constructed after the body has drawn its values, also when it is tied and its draws count for
    // nothing.
    skip_uniform(shape_.vocab_size * shape_.hidden_size);
    if (!shape_.tie_word_embeddings) draw(BlockId::head(), Site::kLmHead);
    fill_rest();
    return std::move(weights_);
  }

 private:
  static constexpr std::array<Site, 7> kProjections = {Site::kQ,    Site::kK,  Site::kV,   Site::kO,
                                                       Site::kGate, Site::kUp, Site::kDown};

  void construct_embedding() { (void)normal({shape_.vocab_size, shape_.hidden_size}, 1); }

  void construct_linear(BlockId block, Site site) {
    const std::vector<int64_t>& extents = expected_.at({block, site, Part::kWeight});
    skip_uniform(extents[0] * extents[1]);
    if (expected_.contains({block, site, Part::kBias})) skip_uniform(extents[0]);
  }

  void draw(BlockId block, Site site) {
    const ParameterId id = {block, site, Part::kWeight};
    weights_[id] = normal(expected_.at(id), shape_.initializer_range);
  }

  at::Tensor normal(const std::vector<int64_t>& extents, double deviation) {
    const MemoryScope scope(MemoryClass::kWeights);
    return at::empty(extents, at::dtype(dtype_)).normal_(0, deviation, generator_);
  }

  void skip_uniform(int64_t count) {
    constexpr int64_t kPiece = 1 << 16;
    at::Tensor piece = at::empty({std::min(count, kPiece)}, at::dtype(dtype_));
    for (; count > 0; count -= kPiece) piece.narrow(0, 0, std::min(count, kPiece)).uniform_(0, 1, generator_);
  }

  void fill_rest() {
    for (const auto& [id, extents] : expected_) {
      if (weights_.contains(id)) continue;
      const bool bias = id.part == Part::kBias;
      weights_[id] = bias ? at::zeros(extents, at::dtype(dtype_)) : at::ones(extents, at::dtype(dtype_));
    }
  }

  const ModelShape& shape_;
  std::map<ParameterId, std::vector<int64_t>> expected_;
  at::ScalarType dtype_;
  at::Generator generator_;
  TensorMap weights_;
};

}  // namespace

TensorMap init_model_weights(const ModelShape& shape, uint64_t seed, at::ScalarType dtype) {
  return Initializer(shape, seed, dtype).run();
}

}  // namespace lathe
