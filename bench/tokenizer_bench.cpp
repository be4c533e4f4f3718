// Encodes every line of a file REPEATS times; prints ids, bytes, seconds of the best repeat and seconds of loading.
//     tokenizer_bench DIRECTORY FILE REPEATS
#include <fmt/core.h>
#include <lathe/error.h>
#include <lathe/tokenizer.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

int run(const std::string& directory, const std::string& file, int repeats) {
  auto start = std::chrono::steady_clock::now();
  const auto tokenizer = lathe::Tokenizer::load(directory);
  const double load_s = seconds_since(start);
  const std::string text = lathe::read_text_file(file);
  std::vector<std::string_view> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(std::string_view(text).substr(at, end - at));
    at = end + 1;
  }
  double best_s = 1e30;
  size_t ids = 0;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    start = std::chrono::steady_clock::now();
    ids = 0;
    for (const std::string_view line : lines) ids += tokenizer->encode(line).size();
    best_s = std::min(best_s, seconds_since(start));
  }
  fmt::print("{} {} {} {}\n", ids, text.size(), best_s, load_s);
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 4) {
    fmt::print(stderr, "usage: tokenizer_bench DIRECTORY FILE REPEATS\n");
    return 2;
  }
  return run(argv[1], argv[2], std::atoi(argv[3]));
} catch (const lathe::Error& error) {
  fmt::print(stderr, "{}\n", error.what());
  return lathe::exit_code(error.kind());
}
