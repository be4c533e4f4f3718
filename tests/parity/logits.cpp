// Writes the logits of some ids, so that peft's view of the same two folders can be laid beside them.
//
// usage: parity_logits MODEL ADAPTER OUT ID …      OUT: [ids, vocabulary] fp32, in fp32 arithmetic, raw bytes
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cstdlib>
#include <fstream>

#include "engine/trainable.h"
#include "model/causal_lm.h"
#include "model/lora.h"
#include "model/model_files.h"

namespace {

lathe::Batch one_row(char** words, int count) {
  lathe::Batch batch;
  for (int i = 0; i < count; ++i) {
    batch.input_ids.push_back(std::atoi(words[i]));
    batch.targets.push_back(lathe::kIgnoreLabel);
    batch.positions.push_back(i);
  }
  batch.cu_seqlens = {0, count};
  batch.rows = {0};
  return batch;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 5) {
    fmt::print(stderr, "usage: parity_logits MODEL ADAPTER OUT ID …\n");
    return 2;
  }
  lathe::ModelShape shape = lathe::read_model_shape(argv[1]);
  lathe::TensorMap weights = lathe::load_model_weights(argv[1], shape, at::kFloat);
  lathe::LoadedAdapter adapter = lathe::load_adapter(argv[2], shape);
  lathe::add_adapter(weights, adapter.config, shape, adapter.weights);
  shape = lathe::shape_behind(adapter.config, shape);
  lathe::ParameterStore store(shape, std::move(weights), {});
  lathe::CausalLM model(
      shape, {.compute_dtype = at::kFloat, .lora = {.r = adapter.config.r, .scale = adapter.config.scale()}});
  const at::Tensor logits = model.logits(one_row(argv + 4, argc - 4), store).contiguous();
  std::ofstream out(argv[3], std::ios::binary);
  out.write(static_cast<const char*>(logits.const_data_ptr()), static_cast<std::streamsize>(logits.nbytes()));
  return out.good() ? 0 : 1;
} catch (const std::exception& error) {
  fmt::print(stderr, "{}\n", error.what());
  return 1;
}
