#include "retort/data/io/weights/weight_file.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/data/io/file.h"
#include "retort/data/io/weights/testing_files.h"

namespace retort::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Write(const std::string& name, const std::string& bytes) {
  const std::string path = ::testing::TempDir() + "/" + name;
  EXPECT_TRUE(WriteFileAtomically(path, bytes).ok());
  return path;
}

const StridedView* Find(const WeightFile& file, const std::string& name) {
  for (const StridedView& view : file.tensors()) {
    if (view.name == name) return &view;
  }
  return nullptr;
}

TEST(WeightFileTest, TheContentDecidesNotTheName) {
  for (const std::string& path :
       {Write("a.safetensors", SamplePth()), Write("b.pth", SampleSafetensors()), Write("c", SamplePth())}) {
    const auto file = WeightFile::Open(path);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ(file->path(), path);
    const StridedView* a = Find(*file, "a");
    ASSERT_NE(a, nullptr);
    EXPECT_EQ(a->dtype, DType::kF32);
    EXPECT_THAT(a->shape, ElementsAre(2, 3));
    EXPECT_THAT(a->strides, ElementsAre(3, 1));
    EXPECT_EQ(std::string(a->bytes.begin(), a->bytes.end()), "aaaabbbbccccddddeeeeffff");
    const StridedView* b = Find(*file, "b");
    ASSERT_NE(b, nullptr);
    EXPECT_EQ(std::string(b->bytes.begin(), b->bytes.end()), "12345678");
    EXPECT_TRUE(file->Verify().ok());
    file->storage().Release(file->storage().bytes());
    EXPECT_EQ(std::string(b->bytes.begin(), b->bytes.end()), "12345678");
  }
}

TEST(WeightFileTest, KeepsMetadataAndOtherEntries) {
  const auto safetensors =
      WeightFile::Open(Write("m.safetensors", MakeSafetensors(R"({"__metadata__":{"format":"pt"}})", "")));
  ASSERT_TRUE(safetensors.ok()) << safetensors.status();
  EXPECT_EQ(safetensors->metadata().at("format"), "pt");
  const auto pth = WeightFile::Open(
      Write("m.pth", MakePth(PickleOf(PickleDict({{"x", PickleTensor({})}, {"epoch", PickleInteger(3)}})), {"1234"})));
  ASSERT_TRUE(pth.ok()) << pth.status();
  EXPECT_THAT(pth->others(), ElementsAre("epoch"));
}

TEST(WeightFileTest, OtherFilesAreRefused) {
  for (const std::string& bytes : {std::string(), std::string("\x89HDF\r\n\x1a\n"), std::string(600, 'x')}) {
    const absl::Status status = WeightFile::Open(Write("other", bytes)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(status.message()), HasSubstr("neither a safetensors file nor one of torch.save"));
  }
  EXPECT_EQ(WeightFile::Open(::testing::TempDir() + "/none").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(WeightFile::Open(Write("s.safetensors", SampleSafetensors()), "model").status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace retort::data
