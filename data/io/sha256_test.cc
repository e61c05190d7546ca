#include "retort/data/io/sha256.h"

#include <string>

#include "gtest/gtest.h"

#include "retort/data/io/file.h"

namespace retort::data {
namespace {

// NIST, "Examples with Intermediate Values": SHA-256 of "abc" and of the 448-bit message; the empty one from the CAVP
// short-message vectors.
constexpr char kEmpty[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr char kAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr char kTwoBlocks[] = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1";

TEST(Sha256Test, PublishedVectors) {
  EXPECT_EQ(Sha256Hex(""), kEmpty);
  EXPECT_EQ(Sha256Hex("abc"), kAbc);
  EXPECT_EQ(Sha256Hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"), kTwoBlocks);
}

TEST(Sha256Test, InPieces) {
  Sha256 hash;
  hash.Update("a");
  hash.Update("");
  hash.Update("bc");
  EXPECT_EQ(hash.HexDigest(), kAbc);
}

TEST(Sha256Test, File) {
  const std::string path = ::testing::TempDir() + "/sha256_test";
  ASSERT_TRUE(WriteFileAtomically(path, "abc").ok());
  EXPECT_EQ(*Sha256File(path), kAbc);
  EXPECT_EQ(Sha256File(path + ".gone").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace retort::data
