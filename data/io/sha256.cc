#include "retort/data/io/sha256.h"

#include <openssl/evp.h>

#include <cstdio>
#include <cstdlib>

#include "absl/strings/escaping.h"

#include "retort/data/io/file.h"
#include "retort/data/io/status_macros.h"

namespace retort::data {
namespace {

// OpenSSL refuses a digest it has only where memory ran out or the library is damaged.
void Must(bool done) {
  if (done) return;
  std::fputs("retort: libcrypto failed to compute SHA-256\n", stderr);
  std::abort();
}

}  // namespace

struct Sha256::Context {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> digest{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  Must(context_->digest != nullptr && EVP_DigestInit_ex(context_->digest.get(), EVP_sha256(), nullptr) == 1);
}

Sha256::~Sha256() = default;

void Sha256::Update(absl::string_view bytes) {
  Must(EVP_DigestUpdate(context_->digest.get(), bytes.data(), bytes.size()) == 1);
}

void Sha256::Update(absl::Span<const uint8_t> bytes) {
  Update(absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

std::string Sha256::HexDigest() {
  std::string digest(32, '\0');
  Must(EVP_DigestFinal_ex(context_->digest.get(), reinterpret_cast<unsigned char*>(digest.data()), nullptr) == 1);
  return absl::BytesToHexString(digest);
}

std::string Sha256Hex(absl::string_view bytes) {
  Sha256 hash;
  hash.Update(bytes);
  return hash.HexDigest();
}

absl::StatusOr<std::string> Sha256File(const std::string& path) {
  RETORT_ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
  Sha256 hash;
  file->Read(file->bytes(), [&hash](absl::Span<const uint8_t> piece) { hash.Update(piece); });
  return hash.HexDigest();
}

}  // namespace retort::data
