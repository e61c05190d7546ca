#include "retort/kd/testing/tiny_training.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <utility>

#include "ATen/Parallel.h"
#include "ATen/TensorOperators.h"
#include "ATen/ops/dropout.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/ones_like.h"
#include "ATen/ops/zeros.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "retort/kd/targets/target_rows.h"
#include "retort/testing/new_folder.h"

namespace retort::kd::testing {
namespace {

constexpr int64_t kSide = 4;
constexpr int64_t kHidden = 8;

template <typename T>
T Must(absl::StatusOr<T> value) {
  if (!value.ok()) ADD_FAILURE() << value.status();
  return *std::move(value);
}

at::Tensor Uniform(std::mt19937& random, std::vector<int64_t> shape, double bound) {
  at::Tensor tensor = at::empty(shape);
  float* const values = tensor.mutable_data_ptr<float>();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    values[i] = static_cast<float>((static_cast<double>(random()) / 4294967296.0 * 2 - 1) * bound);
  }
  return tensor;
}

std::unique_ptr<data::Batcher> MakeBatcher(const data::Dataset& dataset, const config::Training& training,
                                           uint64_t seed) {
  return std::make_unique<data::Batcher>(
      Must(data::Batcher::Create(&dataset, Must(data::ViewPlan::Create(training.augment(), seed)), {{0.5}, {0.25}},
                                 data::Batcher::Layout::kContiguous)));
}

// weight [O,I], x [B,I] -> [B,O], each row on its own.
at::Tensor Linear(const at::Tensor& weight, const at::Tensor& x) { return (x.unsqueeze(1) * weight).sum(2); }

}  // namespace

data::Dataset TinyDataset(int64_t size, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<uint8_t> pixels;
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < size; ++i) {
    labels.push_back(static_cast<int64_t>(random() % kClasses));
    for (int64_t h = 0; h < kSide; ++h) {
      const uint64_t light = h == labels.back() ? 120 : 0;
      for (int64_t w = 0; w < kSide; ++w) pixels.push_back(static_cast<uint8_t>(light + random() % 120));
    }
  }
  return Must(data::MakeDataset(std::move(pixels), std::move(labels), kSide, kSide, 1, {"first", "second", "third"}));
}

TinyModel::TinyModel(uint32_t seed, double dropout) : dropout_(dropout), mean_(at::zeros({kHidden})) {
  std::mt19937 random(seed);
  weight1_ = Uniform(random, {kHidden, kSide * kSide}, 0.25).requires_grad_();
  bias1_ = Uniform(random, {kHidden}, 0.25).requires_grad_();
  weight2_ = Uniform(random, {kClasses, kHidden}, 0.35).requires_grad_();
  bias2_ = Uniform(random, {kClasses}, 0.35).requires_grad_();
}

nn::Outputs TinyModel::Forward(const at::Tensor& images, const nn::Request& request) {
  at::Tensor hidden = (Linear(weight1_, images.flatten(1)) + bias1_).relu();
  if (training_) {
    const at::Tensor mask = at::dropout(at::ones_like(hidden), dropout_, true);
    dropped_.push_back(mask.eq(0).sum().item<int64_t>());
    hidden = hidden * mask;
  }
  const at::Tensor map = hidden.view({hidden.size(0), 2, kHidden / 4, 2});
  nn::Outputs outputs;
  outputs.logits = Linear(weight2_, map.flatten(1) - mean_.clone()) + bias2_;
  if (request.embedding) outputs.embedding = hidden;
  for (const std::string& tap : request.taps) outputs.taps[tap] = tap == "map" ? map : hidden;
  if (training_) mean_.mul_(0.9).add_(hidden.detach().mean(0), 0.1);
  return outputs;
}

std::vector<nn::NamedTensor> TinyModel::Parameters() const {
  return {{"weight1", weight1_}, {"bias1", bias1_}, {"weight2", weight2_}, {"bias2", bias2_}};
}

TinyTraining::TinyTraining(const TinyOptions& options) : dataset(TinyDataset(options.images, 1)) {
  at::set_num_threads(1);  // more would only wait for each other
  config::Training& training = task.training;
  config::Objective objective_config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(options.training, &training));
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(options.objective, &objective_config));
  batcher = MakeBatcher(dataset, training, options.seed);
  evaluator = MakeBatcher(dataset, {}, 0);
  objective = std::make_unique<Objective>(Must(Objective::Create(objective_config)));
  model = std::make_unique<TinyModel>(options.seed, options.dropout);
  teacher = std::make_unique<LiveTeacher>(std::make_unique<TinyModel>(99, 0.3));

  task.model = model.get();
  task.objective = objective.get();
  task.teacher = teacher.get();
  task.dataset = &dataset;
  task.batcher = batcher.get();
  task.evaluator = evaluator.get();
  for (int64_t i = 0; i < options.images; ++i) {
    (i < options.images - options.validation ? task.train_index : task.validation_index).push_back(i);
  }
  task.views_of = SameView;
  task.seed = options.seed;
}

int64_t TinyTraining::Steps() const {
  const int64_t batch = int64_t{task.training.batch_size()} * task.training.accumulate();
  return task.training.epochs() * ((static_cast<int64_t>(task.train_index.size()) + batch - 1) / batch);
}

TargetCache CacheOf(Teacher& teacher, const data::Batcher& batcher, int64_t images, int64_t views,
                    const config::StoredTargets& contents, int64_t batch) {
  TargetRequest request = RequestFor(contents);
  request.logits = true;
  std::vector<TargetCache::View> all;
  for (int64_t view = 0; view < views; ++view) {
    const std::string folder = retort::testing::NewFolder();
    all.push_back({view, absl::StrCat("identity of view ", view), {}});
    for (int64_t first = 0; first < images; first += contents.shard_size()) {
      const ShardPlace place = {all.back().identity, view, first,
                                std::min<int64_t>(contents.shard_size(), images - first)};
      TargetShardBuilder builder(contents, place);
      for (int64_t from = first; from < first + place.count; from += batch) {
        std::vector<int64_t> index(static_cast<size_t>(std::min(batch, first + place.count - from)));
        std::iota(index.begin(), index.end(), from);
        const data::Batch seen = Must(batcher.Assemble(index, {view}));
        const absl::Status put = builder.Append(Must(teacher.Look(seen, request)), seen.labels);
        EXPECT_TRUE(put.ok()) << put;
      }
      all.back().shards.push_back(absl::StrCat(folder, "/", first));
      const absl::Status written = builder.Write(all.back().shards.back());
      EXPECT_TRUE(written.ok()) << written;
    }
  }
  return Must(TargetCache::Open(all));
}

TargetCache CacheOf(Teacher& teacher, const TinyTraining& tiny, int64_t views, const std::string& contents,
                    int64_t batch) {
  config::StoredTargets stored;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(contents, &stored)) << contents;
  stored.set_shard_size(5);
  return CacheOf(teacher, *tiny.batcher, tiny.dataset.size, views, stored, batch);
}

std::string Bytes(const std::vector<nn::NamedTensor>& tensors) {
  std::string bytes;
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor contiguous = tensor.detach().contiguous();
    bytes.append(static_cast<const char*>(contiguous.const_data_ptr()), contiguous.nbytes());
  }
  return bytes;
}

std::string Weights(const nn::Model& model) { return Bytes(model.Parameters()) + Bytes(model.Buffers()); }

}  // namespace retort::kd::testing
