// Reads lines from standard input and prints the ids of each as a JSON array.
// usage: tokenize_lines MODEL_FOLDER < text
#include <lathe/error.h>
#include <lathe/tokenizer.h>

#include <iostream>
#include <string>

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: tokenize_lines MODEL_FOLDER < text\n";
    return 2;
  }
  try {
    const auto tokenizer = lathe::Tokenizer::load(argv[1]);
    for (std::string line; std::getline(std::cin, line);) {
      std::cout << '[';
      const char* separator = "";
      for (const int32_t id : tokenizer->encode(line)) {
        std::cout << separator << id;
        separator = ", ";
      }
      std::cout << "]\n";
    }
  } catch (const lathe::Error& error) {
    std::cerr << "error: " << error.what() << '\n';
    return lathe::exit_code(error.kind());
  }
  return 0;
}
