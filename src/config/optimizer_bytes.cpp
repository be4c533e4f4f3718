#include "config/optimizer_bytes.h"

#include <lathe/error.h>

#include "config/optimizers.h"
#include "config/trained_tensors.h"

namespace lathe {
namespace {

/// Adafactor: of a matrix a number for each row and each column, of a vector one for each element.
int64_t factored_bytes(const TrainedTensor& tensor) {
  return 4 * (tensor.rows == 0 ? tensor.elements : tensor.rows + tensor.elements / tensor.rows);
}

/// One moment of a byte each and a scale for each block of them, by bitsandbytes' and transformers' rules.
int64_t moment_in_8bit(const TrainedTensor& tensor) {
  if (tensor.elements < kMin8bitElements || tensor.kind == TrainedKind::kEmbedding) return 4 * tensor.elements;
  return tensor.elements + 4 * ((tensor.elements + k8bitBlock - 1) / k8bitBlock);
}

int64_t bytes_of(const TrainedTensor& tensor, const OptimizerSettings& settings) {
  const int64_t momentum = settings.momentum != 0 ? 4 : 0;
  switch (settings.kind) {
    case OptimizerKind::kAdamW:
    case OptimizerKind::kAdam:
      return 8 * tensor.elements;
    case OptimizerKind::kAdEMAMix:
      return 12 * tensor.elements;
    case OptimizerKind::kAdamW8bit:
      return 2 * moment_in_8bit(tensor);
    case OptimizerKind::kLion8bit:
      return moment_in_8bit(tensor);
    case OptimizerKind::kSgd:
      return momentum * tensor.elements;
    case OptimizerKind::kRmsprop:
      return (4 + momentum + (settings.centered ? 4 : 0)) * tensor.elements;
    case OptimizerKind::kAdagrad:
    case OptimizerKind::kLion:
      return 4 * tensor.elements;
    case OptimizerKind::kAdafactor:
      return factored_bytes(tensor);
  }
  LATHE_ASSERT(false);
}

}  // namespace

int64_t optimizer_bytes(const ModelShape& shape, const TrainingArguments& args) {
  const OptimizerSettings settings = optimizer_settings(args);
  int64_t bytes = 0;
  for (const TrainedTensor& tensor : trained_tensors(shape, args)) bytes += bytes_of(tensor, settings);
  return bytes;
}

const char* optimizer_words(const TrainingArguments& args) {
  switch (optimizer_settings(args).kind) {
    case OptimizerKind::kAdamW:
      return "AdamW's two moments";
    case OptimizerKind::kAdamW8bit:
      return "AdamW's two moments, 8 bits";
    case OptimizerKind::kAdam:
      return "Adam's two moments";
    case OptimizerKind::kSgd:
      return "SGD's momentum";
    case OptimizerKind::kRmsprop:
      return "RMSprop's means";
    case OptimizerKind::kAdagrad:
      return "Adagrad's sums";
    case OptimizerKind::kLion:
      return "Lion's mean";
    case OptimizerKind::kLion8bit:
      return "Lion's mean, 8 bits";
    case OptimizerKind::kAdafactor:
      return "Adafactor's rows and columns";
    case OptimizerKind::kAdEMAMix:
      return "AdEMAMix's three moments";
  }
  LATHE_ASSERT(false);
}

}  // namespace lathe
