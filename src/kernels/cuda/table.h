#pragma once
// What the plug-in liblathe_cuda.so offers: the kernels of this folder as one versioned table of C functions. The
// program is linked to none of it; plugin.h opens the library where there is an NVIDIA driver.
//
// Contracts are those of the headers one folder up, but for these: pointers are to memory of the current device, x and
// outputs are [N,H] and so on of `type`, work is queued on `stream` and the call returns at once; the status is a
// cudaError_t, 0 for success. Any size and alignment is served; 16-byte aligned rows are served fastest. Results do not
// depend on the device's size: sums are split by the shapes alone, and nothing is added atomically.
#include <array>
#include <cstdint>

#include "kernels/adamw.h"
#include "kernels/cross_entropy.h"
#include "kernels/dropout.h"
#include "kernels/quantize.h"

namespace lathe::kernels::cuda {

enum class Element : int32_t { kFloat, kBf16 };
using Stream = void*;  ///< a cudaStream_t; null: the default one
using Status = int32_t;

/// Changes with every signature below.
inline constexpr uint32_t kTableVersion = 3;
/// What sum_of_squares needs at `parts`.
inline constexpr int64_t kSumParts = 1024;

Status rms_norm(Element type, const void* x, const void* weight, void* y, float* rstd, int64_t rows, int64_t width,
                float epsilon, Stream stream);
/// @param workspace rms_norm_workspace(rows, width) floats where dweight is wanted
Status rms_norm_backward(Element type, const void* dy, const void* x, const void* weight, const float* rstd, void* dx,
                         float* dweight, float* workspace, int64_t rows, int64_t width, Stream stream);
int64_t rms_norm_workspace(int64_t rows, int64_t width);

/// y = x rotated; y may be x.
Status rotary(Element type, const void* x, void* y, const float* cos, const float* sin, int64_t tokens, int64_t heads,
              int64_t head_dim, bool inverse, Stream stream);

Status swiglu(Element type, const void* gate, const void* up, void* y, int64_t count, Stream stream);
Status swiglu_backward(Element type, void* dy, void* gate, void* up, int64_t count, Stream stream);

Status cross_entropy(Element type, void* logits, const int64_t* targets, float* loss, int64_t rows, int64_t vocabulary,
                     const CrossEntropy& options, Stream stream);

Status adamw(float* parameter, const float* gradient, float* exp_avg, float* exp_avg_sq, int64_t count,
             const AdamWStep& step, Stream stream);

/// @param parts workspace of kSumParts doubles  @param sum out: one double
Status sum_of_squares(Element type, const void* values, int64_t count, double* parts, double* sum, Stream stream);

Status dropout(Element type, const void* x, void* y, int64_t first, int64_t count, const DropoutDraw& draw,
               Stream stream);

/// A weight in 4 bits (kernels/quantize.h): codes and scales in the device's memory, the tables by value.
struct FourBitWeight {
  const uint8_t* codes;
  const float* absmax;          ///< one a block; null: the three below
  const uint8_t* absmax_codes;  ///< one a block
  const float* nested;          ///< one for kAbsmaxBlock of them
  float offset;
  std::array<float, 16> values;         ///< four_bit_values
  std::array<float, 256> scale_values;  ///< dynamic_map_values(DynamicMap::kSigned); unused with absmax
};
/// @param y [count]
Status dequantize_4bit(Element type, const FourBitWeight& weight, void* y, int64_t count, Stream stream);
Status dequantize_int8(Element type, const int8_t* codes, const float* absmax, void* y, int64_t rows, int64_t width,
                       Stream stream);

int32_t device_count();  ///< 0 where there is none or no driver
/// Of the first one.
struct Device {
  char name[256];
  int32_t capability;  ///< 80 for compute capability 8.0
  int64_t memory_bytes, free_bytes;
};
Status describe_device(Device* device);

// For tests and benches, which have no libtorch.
Status allocate(void** memory, int64_t bytes);
Status release(void* memory);
Status copy(void* to, const void* from, int64_t bytes);  ///< between any two memories; finished on return
Status synchronize();
const char* error_text(Status status);

struct Kernels {
  decltype(&cuda::rms_norm) rms_norm;
  decltype(&cuda::rms_norm_backward) rms_norm_backward;
  decltype(&cuda::rms_norm_workspace) rms_norm_workspace;
  decltype(&cuda::rotary) rotary;
  decltype(&cuda::swiglu) swiglu;
  decltype(&cuda::swiglu_backward) swiglu_backward;
  decltype(&cuda::cross_entropy) cross_entropy;
  decltype(&cuda::adamw) adamw;
  decltype(&cuda::sum_of_squares) sum_of_squares;
  decltype(&cuda::dropout) dropout;
  decltype(&cuda::dequantize_4bit) dequantize_4bit;
  decltype(&cuda::dequantize_int8) dequantize_int8;
  decltype(&cuda::device_count) device_count;
  decltype(&cuda::describe_device) describe_device;
  decltype(&cuda::allocate) allocate;
  decltype(&cuda::release) release;
  decltype(&cuda::copy) copy;
  decltype(&cuda::synchronize) synchronize;
  decltype(&cuda::error_text) error_text;
};

}  // namespace lathe::kernels::cuda

extern "C" {
/// The one symbol that the plug-in exports. @returns null where version is not the library's own
const lathe::kernels::cuda::Kernels* lathe_cuda_kernels(uint32_t version);
}
