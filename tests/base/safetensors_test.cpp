// The format's own rules, and every way that a file can break them. values/safetensors_python.safetensors was written
// by the Python library (tests/oracle/safetensors_file.py).
#include "base/safetensors.h"

#include <gtest/gtest.h>
#include <lathe/error.h>

#include <cstring>

#include "base/temporary_folder.h"

namespace lathe {
namespace {

std::string temporary(const std::string& name) {
  static const TemporaryFolder folder;  // of this process: tests run beside one another
  return folder / name;
}

std::string raw(const std::string& header, size_t data_bytes) {
  const uint64_t length = header.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + header + std::string(data_bytes, 'x');
}

void expect_refused(const std::string& bytes, const std::string& part_of_message) {
  const std::string path = temporary("broken.safetensors");
  atomic_write(path, bytes);
  try {
    (void)SafetensorsFile::open(path);
    FAIL() << "accepted, though: " << part_of_message;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    EXPECT_NE(std::string(error.what()).find(path), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find(part_of_message), std::string::npos) << error.what();
  }
}

TEST(Safetensors, ReadsBackWhatItWrote) {
  const std::vector<float> values = {1.5f, -2.0f, 3.25f, 0.0f, 7.0f, 8.0f};
  const std::vector<uint16_t> halves = {0x3f80, 0x4000};
  const std::string path = temporary("round.safetensors");
  save_safetensors(path,
                   {{"b", DType::kBF16, {2}, std::as_bytes(std::span(halves))},
                    {"a", DType::kF32, {2, 3}, std::as_bytes(std::span(values))},
                    {"empty", DType::kF32, {0, 4}, {}},
                    {"scalar", DType::kBF16, {}, std::as_bytes(std::span(halves)).first(2)}},
                   {{"note", "näin"}});
  const SafetensorsFile file = SafetensorsFile::open(path);
  ASSERT_EQ(file.tensors().size(), 4u);
  const TensorEntry& a = file.tensors().at("a");
  EXPECT_EQ(a.shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(std::memcmp(a.bytes.data(), values.data(), a.bytes.size()), 0);
  EXPECT_EQ(file.tensors().at("empty").bytes.size(), 0u);
  EXPECT_EQ(file.tensors().at("scalar").shape.size(), 0u);
  EXPECT_EQ(file.metadata().at("note"), "näin");
  EXPECT_EQ(file.metadata().at("format"), "pt");
}

TEST(Safetensors, ReadsWhatPythonWrote) {
  const SafetensorsFile file =
      SafetensorsFile::open(std::string(LATHE_SOURCE_DIR) + "/tests/oracle/values/safetensors_python.safetensors");
  const TensorEntry& ramp = file.tensors().at("ramp");
  ASSERT_EQ(ramp.shape, (std::vector<int64_t>{3, 5}));
  for (int i = 0; i < 15; ++i) {
    float value = 0;
    std::memcpy(&value, ramp.bytes.data() + i * 4, 4);
    EXPECT_EQ(value, static_cast<float>(i) * 0.5f);
  }
  EXPECT_EQ(file.tensors().at("half").dtype, DType::kBF16);
  EXPECT_EQ(file.metadata().at("made_by"), "safetensors");
}

TEST(Safetensors, RefusesBrokenFilesByName) {
  expect_refused("", "0 bytes");
  expect_refused("abc", "3 bytes");
  expect_refused(raw("{}", 0).substr(0, 8) + "{", "claims 2 bytes");
  expect_refused(std::string("\xff\xff\xff\xff\xff\xff\xff\xff", 8) + "{}", "claims");
  expect_refused(raw("not json", 0), "does not begin");
  expect_refused(raw("{\"a\": ", 0), "no JSON");
  expect_refused(raw(R"({"a":3})", 0), "'a'");
  expect_refused(raw(R"({"a":{"shape":[1],"data_offsets":[0,4]}})", 4), "no dtype");
  expect_refused(raw(R"({"a":{"dtype":"Q9","shape":[1],"data_offsets":[0,4]}})", 4), "Q9");
  expect_refused(raw(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4), "shape");
  expect_refused(raw(R"({"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}})", 4), "shape");
  expect_refused(raw(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4), "takes 4 bytes");
  expect_refused(raw(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}})", 4), "bytes 0 to 8 of 4");
  expect_refused(raw(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4), "bytes 4 to 0");
  expect_refused(raw(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})", 0),
                 "takes 0 bytes");
  expect_refused(raw(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 9), "belong to none");
  expect_refused(raw(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8), "gap");
  expect_refused(
      raw(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
          4),
      "overlaps");
  expect_refused(
      raw(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
          8),
      "no JSON");
  expect_refused(raw(R"({"__metadata__":{"x":1}})", 0), "metadata 'x'");
}

TEST(Safetensors, EveryCutOfAFileIsRefused) {
  const std::vector<float> values(8, 1.0f);
  const std::string path = temporary("whole.safetensors");
  save_safetensors(path, {{"a", DType::kF32, {8}, std::as_bytes(std::span(values))}});
  const std::string whole = read_text_file(path);
  const std::string cut = temporary("cut.safetensors");
  for (size_t length = 0; length < whole.size(); ++length) {
    atomic_write(cut, std::string_view(whole).substr(0, length));
    EXPECT_THROW((void)SafetensorsFile::open(cut), Error) << length;
  }
}

}  // namespace
}  // namespace lathe
