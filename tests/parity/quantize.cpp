// Writes what a weight of a model folder is held as: codes, scales, and with double quantisation the scales' scales and
// their offset, one behind the other.
//   parity_quantize MODEL TENSOR nf4|fp4|int8 double|single
#include <lathe/error.h>

#include <cstdio>
#include <string>

#include "model/model_files.h"

namespace {

void write(const at::Tensor& tensor) {
  if (tensor.defined()) std::fwrite(tensor.const_data_ptr(), 1, tensor.nbytes(), stdout);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 5) return 2;
  try {
    const std::string kind = arguments[3];
    const lathe::ops::QuantizationSettings settings{.kind = kind == "nf4"   ? lathe::ops::Quantization::kNf4
                                                            : kind == "fp4" ? lathe::ops::Quantization::kFp4
                                                                            : lathe::ops::Quantization::kInt8,
                                                    .double_quantized = std::string(arguments[4]) == "double"};
    const lathe::ModelShape shape = lathe::read_model_shape(arguments[1]);
    const auto model = lathe::load_quantized_model(arguments[1], shape, at::kFloat, settings);
    const auto& weight = *model.quantized.at(lathe::parse_hf_name(arguments[2]).value());
    write(weight.codes());
    write(weight.absmax());
    write(weight.nested_absmax());
    const float offset = weight.offset();
    if (weight.nested_absmax().defined()) std::fwrite(&offset, sizeof offset, 1, stdout);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
