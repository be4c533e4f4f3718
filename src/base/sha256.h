#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace lathe {

/// SHA-256 (OpenSSL), fed in pieces; hex() ends it.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  Sha256& update(std::span<const std::byte> bytes);
  Sha256& update(std::string_view text);
  /// Bytes of a mapped file (base/file.h). What was read is given back on the way: a file that training reads too would
  /// count twice, and one larger than the memory would push everything else out.
  Sha256& update_mapped(std::span<const std::byte> bytes);
  [[nodiscard]] std::string hex();  ///< 64 lower-case digits

 private:
  struct State;
  std::unique_ptr<State> state_;
};

[[nodiscard]] std::string sha256_file(const std::string& path);

}  // namespace lathe
