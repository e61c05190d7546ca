#include "retort/data/io/weights/pytorch_file.h"

#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

#include "retort/data/io/file.h"
#include "retort/data/io/weights/testing_files.h"
#include "retort/testing/subprocess.h"

namespace retort::data {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Fixture(const std::string& name) {
  return retort::testing::RunfilePath("data/io/weights/fixtures/" + name);
}

absl::StatusOr<PyTorchFile> OpenBytes(const std::string& bytes) {
  const std::string path = ::testing::TempDir() + "/test.pth";
  const absl::Status written = WriteFileAtomically(path, bytes);
  if (!written.ok()) return written;
  return PyTorchFile::Open(path);
}

// Hexadecimal digits of the elements in row-major order.
std::string RowMajor(const StridedView& view) {
  const size_t size = static_cast<size_t>(DTypeBits(view.dtype)) / 8;
  std::string bytes;
  std::vector<int64_t> index(view.shape.size(), 0);
  int64_t elements = 1;
  for (const int64_t extent : view.shape) elements *= extent;
  for (int64_t i = 0; i < elements; ++i) {
    size_t element = 0;
    for (size_t d = 0; d < index.size(); ++d) element += static_cast<size_t>(index[d] * view.strides[d]);
    for (size_t byte = 0; byte < size; ++byte) bytes += static_cast<char>(view.bytes.at(element * size + byte));
    for (size_t d = index.size(); d-- > 0 && ++index[d] == view.shape[d];) index[d] = 0;
  }
  return absl::BytesToHexString(bytes);
}

// fixtures/make_fixtures.py made the files and says what PyTorch sees in them.
TEST(PyTorchFileTest, ReadsWhatPyTorchWrote) {
  const nlohmann::json expected = nlohmann::json::parse(ReadFile(Fixture("expected.json")).value());
  EXPECT_EQ(expected.size(), 8u);
  for (const auto& [name, content] : expected.items()) {
    const auto file = PyTorchFile::Open(Fixture(name), content["state_dict"].get<std::string>());
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_TRUE(file->Verify().ok()) << file->Verify();
    EXPECT_EQ(file->others(), content["others"].get<std::vector<std::string>>()) << name;
    EXPECT_EQ(file->tensors().size(), content["tensors"].size()) << name;
    for (const StridedView& view : file->tensors()) {
      ASSERT_TRUE(content["tensors"].contains(view.name)) << name << " " << view.name;
      const nlohmann::json& tensor = content["tensors"][view.name];
      EXPECT_EQ(DTypeName(view.dtype), tensor["dtype"].get<std::string>()) << name << " " << view.name;
      EXPECT_EQ(view.shape, tensor["shape"].get<std::vector<int64_t>>()) << name << " " << view.name;
      EXPECT_EQ(view.strides, tensor["strides"].get<std::vector<int64_t>>()) << name << " " << view.name;
      EXPECT_EQ(RowMajor(view), tensor["bytes"].get<std::string>()) << name << " " << view.name;
    }
  }
}

TEST(PyTorchFileTest, KeepsTheOrderOfTheStateDict) {
  const auto file = PyTorchFile::Open(Fixture("state_dict.pth"));
  ASSERT_TRUE(file.ok()) << file.status();
  std::vector<std::string> names;
  for (const StridedView& view : file->tensors()) names.push_back(view.name);
  EXPECT_THAT(names, ElementsAre("0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var",
                                 "1.num_batches_tracked"));
}

TEST(PyTorchFileTest, ListsTheStateDictsToChooseFrom) {
  for (const char* wanted : {"", "optimizer"}) {
    const absl::Status status = PyTorchFile::Open(Fixture("two_state_dicts.pth"), wanted).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("\"model\" (7 tensors)"), HasSubstr("\"ema.state_dict\" (7 tensors)"),
                      HasSubstr("two_state_dicts.pth")));
  }
  EXPECT_TRUE(PyTorchFile::Open(Fixture("state_dict.pth"), ".").ok());
  EXPECT_TRUE(PyTorchFile::Open(Fixture("checkpoint.pth"), "model").ok());
}

struct Refused {
  std::string file;
  std::string message;
};

class RefusedTest : public ::testing::TestWithParam<Refused> {};

TEST_P(RefusedTest, IsNamedWithTheRemedy) {
  const absl::Status status = PyTorchFile::Open(Fixture(GetParam().file)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(GetParam().file), HasSubstr(GetParam().message)));
}

INSTANTIATE_TEST_SUITE_P(
    All, RefusedTest,
    ::testing::Values(Refused{"legacy.pth", "before PyTorch 1.6, a stream of pickles; in Python, save it anew"},
                      Refused{"protocol4.pth", "protocol 4"},
                      Refused{"module.pth", "imports torch.nn.modules.linear.Identity"},
                      Refused{"conjugate.pth", "resolve_conj"},
                      Refused{"sparse.pth", "imports torch._utils._rebuild_sparse_tensor"},
                      Refused{"script.pth", "a TorchScript archive"}, Refused{"deflated.pth", "deflate"}),
    [](const auto& test) { return test.param.file.substr(0, test.param.file.find('.')); });

TEST(PyTorchFileTest, ADamagedStorageIsFound) {
  std::string bytes = SamplePth();
  bytes[bytes.find("bbbb")] = 'B';
  const auto file = OpenBytes(bytes);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->Verify().code(), absl::StatusCode::kDataLoss);
}

TEST(PyTorchFileTest, ViewsShareTheirStorage) {
  const auto file = OpenBytes(SamplePth());
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(file->tensors().size(), 3u);
  const StridedView &a = file->tensors()[0], &c = file->tensors()[2];
  EXPECT_EQ(a.bytes.data(), c.bytes.data());
  EXPECT_EQ(absl::HexStringToBytes(RowMajor(c)), "aaaaddddbbbbeeeeccccffff");
}

}  // namespace
}  // namespace retort::data
