#include "retort/nn/models/position_embedding.h"

#include <cstdlib>
#include <fstream>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/equal.h"
#include "ATen/ops/tensor.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace retort::nn {
namespace {

using nlohmann::json;

// See references/make_position_embeddings.py.
at::Tensor Embedding(int64_t tokens, int64_t width) {
  return (at::arange(tokens * width, at::kDouble).square() * 0.37).sin().to(at::kFloat).reshape({1, tokens, width});
}

PatchGrid Grid(const json& sides) { return {sides[0], sides[1]}; }

bool IsInvalid(const absl::StatusOr<at::Tensor>& result) {
  return result.status().code() == absl::StatusCode::kInvalidArgument;
}

TEST(ResamplePositionEmbeddingTest, GivesTimmsNumbers) {
  std::ifstream file(std::getenv("REFERENCE"));
  for (const json& reference : json::parse(file)) {
    const PatchGrid source = Grid(reference["source"]);
    const PatchGrid target = Grid(reference["target"]);
    const int64_t prefix = reference["prefix"];
    const int64_t width = reference["width"];
    const at::Tensor embedding = Embedding(prefix + source.rows * source.columns, width);
    const at::Tensor expected = at::tensor(reference["result"].get<std::vector<double>>(), at::kDouble)
                                    .reshape({1, prefix + target.rows * target.columns, width});
    std::vector<absl::optional<PatchGrid>> named = {source};
    if (source.rows == source.columns) named.push_back(absl::nullopt);
    for (const absl::optional<PatchGrid>& name : named) {
      const at::Tensor result = ResamplePositionEmbedding(embedding, prefix, target, name).value();
      ASSERT_EQ(result.sizes(), expected.sizes()) << reference["target"];
      EXPECT_LE((result.to(at::kDouble) - expected).abs().max().item<double>(), 1e-6) << reference["target"];
      EXPECT_TRUE(at::equal(result.narrow(1, 0, prefix), embedding.narrow(1, 0, prefix))) << reference["target"];
    }
  }
}

TEST(ResamplePositionEmbeddingTest, LeavesTheSameGridAsItIs) {
  const at::Tensor embedding = Embedding(1 + 2 * 3, 4);
  EXPECT_TRUE(at::equal(ResamplePositionEmbedding(embedding, 1, {2, 3}, PatchGrid{2, 3}).value(), embedding));
}

// As many tokens, but of another form: positions move all the same.
TEST(ResamplePositionEmbeddingTest, LooksAtTheGridAndNotAtTheCount) {
  const at::Tensor embedding = Embedding(1 + 16, 4);
  EXPECT_FALSE(at::equal(ResamplePositionEmbedding(embedding, 1, {2, 8}).value(), embedding));
}

TEST(ResamplePositionEmbeddingTest, KeepsTheTypeAndNoGraph) {
  at::Tensor embedding = Embedding(4 + 1, 8).to(at::kBFloat16);
  embedding.set_requires_grad(true);
  const at::Tensor result = ResamplePositionEmbedding(embedding, 1, {3, 3}).value();
  EXPECT_EQ(result.scalar_type(), at::kBFloat16);
  EXPECT_FALSE(result.requires_grad());
}

TEST(ResamplePositionEmbeddingTest, RefusesWhatIsNoGrid) {
  EXPECT_TRUE(IsInvalid(ResamplePositionEmbedding(Embedding(1 + 15, 4), 1, {2, 2})));
  EXPECT_TRUE(IsInvalid(ResamplePositionEmbedding(Embedding(1 + 15, 4), 1, {2, 2}, PatchGrid{3, 4})));
  EXPECT_TRUE(IsInvalid(ResamplePositionEmbedding(Embedding(1 + 15, 4), 1, {2, 2}, PatchGrid{-3, -5})));
  EXPECT_TRUE(IsInvalid(ResamplePositionEmbedding(Embedding(16, 4), 16, {2, 2})));
  EXPECT_TRUE(IsInvalid(ResamplePositionEmbedding(Embedding(16, 4), -1, {2, 2})));
  EXPECT_TRUE(IsInvalid(ResamplePositionEmbedding(Embedding(16, 4), 0, {0, 2})));
  EXPECT_TRUE(IsInvalid(ResamplePositionEmbedding(Embedding(16, 4).squeeze(0), 0, {2, 2})));
  EXPECT_TRUE(IsInvalid(ResamplePositionEmbedding(at::zeros({2, 16, 4}), 0, {2, 2})));
  EXPECT_TRUE(IsInvalid(ResamplePositionEmbedding(at::zeros({1, 16, 4}, at::kInt), 0, {2, 2})));
}

}  // namespace
}  // namespace retort::nn
