// Tensors of a mapped file: aligned ones are views of it, others copies with the same values.
#include "model/tensor_file.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "base/file.h"

namespace lathe {
namespace {

TEST(TensorFileTest, UnalignedTensorsAreReadEqual) {
  const std::string path = ::testing::TempDir() + "lathe_tensor_file_" + std::to_string(::getpid()) + ".safetensors";
  // A header of 101 bytes: the floats behind it start at an odd address.
  std::string header = R"({"x":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}})";
  header.resize(101, ' ');
  const float values[6] = {0, 1, -2, 3.5F, 1e-30F, 7e20F};
  std::string bytes(8, '\0');
  bytes[0] = 101;
  bytes += header;
  bytes.append(reinterpret_cast<const char*>(values), sizeof values);
  atomic_write(path, bytes);
  at::Tensor tensor;
  {
    const SafetensorsFile file = SafetensorsFile::open(path);
    tensor = map_tensor(file, file.tensors().at("x"));
  }
  EXPECT_EQ(std::memcmp(tensor.const_data_ptr(), values, sizeof values), 0);
  EXPECT_EQ(tensor.sizes(), at::IntArrayRef({2, 3}));
  std::filesystem::remove(path);
}

TEST(TensorFileTest, ViewsOutliveTheirFile) {
  const std::string path = ::testing::TempDir() + "lathe_tensor_view_" + std::to_string(::getpid()) + ".safetensors";
  const at::Tensor x = at::arange(1000, at::kFloat), narrow = x.to(at::kBFloat16).view({10, 100}).t();
  save_tensors(path, {{"x", x}, {"narrow", narrow}});
  at::Tensor view, turned;
  {
    const SafetensorsFile file = SafetensorsFile::open(path);
    view = map_tensor(file, file.tensors().at("x"), at::kFloat);
    turned = map_tensor(file, file.tensors().at("narrow"));
    EXPECT_EQ(view.const_data_ptr(), static_cast<const void*>(file.tensors().at("x").bytes.data()));
  }
  std::filesystem::remove(path);
  EXPECT_TRUE(at::equal(view, x));
  EXPECT_TRUE(at::equal(turned, narrow));
}

}  // namespace
}  // namespace lathe
