// Our side of models.py: one model, its forward pass and its training step (forward, cross-entropy, backward, Adam), in
// channels_last. Units are images.
//
//   GOMP_SPINCOUNT=5000 models_benchmark --model='resnet { stem: CIFAR }' --batch=128 --dtype=f32 --threads=2

#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ATen/core/grad_mode.h"
#include "ATen/ops/cross_entropy_loss.h"
#include "ATen/ops/randint.h"
#include "ATen/ops/randn.h"
#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/text_format.h"

#include "retort/nn/build_model.h"
#include "retort/nn/optim/optimizer.h"
#include "retort/nn/runtime.h"
#include "retort/tools/bench/turn.h"

ABSL_FLAG(std::string, model, "", "the model, a textproto of retort.config.Model");
ABSL_FLAG(int, batch, 128, "images a step");
ABSL_FLAG(int, size, 32, "height and width of an image");
ABSL_FLAG(int, classes, 10, "of the classifier");
ABSL_FLAG(std::string, dtype, "f32", "of weights and images: f32 or bf16");
ABSL_FLAG(int, threads, 2, "for one tensor operation");

namespace retort::bench {
namespace {

struct Setup {
  std::unique_ptr<nn::Model> model;
  at::Tensor images;
  at::Tensor labels;
};

nn::ModelShape Shape() {
  return {/*channels=*/3, absl::GetFlag(FLAGS_size), absl::GetFlag(FLAGS_size), absl::GetFlag(FLAGS_classes)};
}

absl::StatusOr<std::unique_ptr<nn::Model>> Build(const config::Model& config) {
  return nn::BuildModel(config, Shape(), /*seed=*/1, /*channels_last=*/true);
}

Setup SetUp(const config::Model& config, bool training) {
  const nn::ModelShape shape = Shape();
  const at::ScalarType dtype = absl::GetFlag(FLAGS_dtype) == "bf16" ? at::kBFloat16 : at::kFloat;
  const int64_t batch = absl::GetFlag(FLAGS_batch);
  Setup setup;
  setup.model = Build(config).value();
  for (const auto& tensors : {setup.model->Parameters(), setup.model->Buffers()}) {
    for (const auto& [name, tensor] : tensors) {
      if (tensor.is_floating_point()) tensor.set_data(tensor.detach().to(dtype));
    }
  }
  setup.model->SetTraining(training);
  setup.images = at::randn({batch, shape.channels, shape.height, shape.width})
                     .to(dtype)
                     .contiguous(at::MemoryFormat::ChannelsLast);
  setup.labels = at::randint(shape.classes, {batch}, at::kLong);
  return setup;
}

// Runs `step` for at least a second.
Case::Round Repeat(const std::function<void()>& step) {
  const auto start = std::chrono::steady_clock::now();
  double images = 0;
  std::chrono::duration<double> elapsed(0);
  do {
    step();
    images += absl::GetFlag(FLAGS_batch);
    elapsed = std::chrono::steady_clock::now() - start;
  } while (elapsed.count() < 1);
  return {images, elapsed.count()};
}

std::vector<Case> Cases(const config::Model& config) {
  return {
      {"forward",
       [config] {
         const auto setup = std::make_shared<Setup>(SetUp(config, /*training=*/false));
         return [setup] {
           const at::NoGradGuard no_grad;
           return Repeat([&] { setup->model->Forward(setup->images, {}); });
         };
       }},
      {"training_step",
       [config] {
         const auto setup = std::make_shared<Setup>(SetUp(config, /*training=*/true));
         config::Optimizer adam;
         adam.mutable_adam();
         const std::shared_ptr<nn::Optimizer> optimizer = nn::BuildOptimizer(adam, setup->model->Parameters()).value();
         return [setup, optimizer] {
           const std::vector<nn::NamedTensor> parameters = setup->model->Parameters();
           return Repeat([&] {
             at::cross_entropy_loss(setup->model->Forward(setup->images, {}).logits, setup->labels).backward();
             optimizer->Step(1);
             nn::ZeroGrad(parameters);
           });
         };
       }},
  };
}

int Main() {
  config::Model config;
  const std::string dtype = absl::GetFlag(FLAGS_dtype);
  if (!google::protobuf::TextFormat::ParseFromString(absl::GetFlag(FLAGS_model), &config) ||
      (dtype != "f32" && dtype != "bf16") || absl::GetFlag(FLAGS_batch) < 1 || absl::GetFlag(FLAGS_threads) < 1) {
    std::fprintf(stderr,
                 "permitted: --model of retort.config.Model, --dtype f32 or bf16, --batch and --threads from 1\n");
    return 64;
  }
  nn::ConfigureRuntime(absl::GetFlag(FLAGS_threads));
  if (const absl::Status status = Build(config).status(); !status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    return 64;
  }
  return TakeTurns(Cases(config));
}

}  // namespace
}  // namespace retort::bench

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("images a second of one model; answers names of cases, see turn.h");
  absl::ParseCommandLine(argc, argv);
  return retort::bench::Main();
}
