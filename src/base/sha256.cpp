#include "base/sha256.h"

#include <fmt/format.h>
#include <lathe/error.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "base/file.h"
#include "base/mapped_pages.h"

namespace lathe {

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  LATHE_ASSERT(EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) == 1);
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

Sha256& Sha256::update(std::span<const std::byte> bytes) {
  LATHE_ASSERT(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
  return *this;
}

Sha256& Sha256::update(std::string_view text) {
  return update(std::as_bytes(std::span(text.data(), text.size())));
}

Sha256& Sha256::update_mapped(std::span<const std::byte> bytes) {
  constexpr size_t kPiece = size_t{8} << 20;
  while (!bytes.empty()) {
    const std::span<const std::byte> piece = bytes.first(std::min(kPiece, bytes.size()));
    update(piece);
    give_back_pages(piece);
    bytes = bytes.subspan(piece.size());
  }
  return *this;
}

std::string Sha256::hex() {
  std::array<unsigned char, 32> digest{};
  LATHE_ASSERT(EVP_DigestFinal_ex(state_->context, digest.data(), nullptr) == 1);
  std::string text;
  for (const unsigned char byte : digest) text += fmt::format("{:02x}", byte);
  return text;
}

std::string sha256_file(const std::string& path) {
  return Sha256().update_mapped(MappedFile::open(path)->bytes()).hex();
}

}  // namespace lathe
