// What a CUDA graph asks of a model: that it never waits for the device, which any machine can show, and that a pass
// and a training step can be captured and replayed, which takes a GPU.

#include <memory>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "ATen/Context.h"
#include "ATen/TensorOperators.h"
#include "ATen/core/grad_mode.h"
#include "ATen/ops/allclose.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/cross_entropy_loss.h"
#include "ATen/ops/linspace.h"
#include "ATen/ops/ones.h"
#include "ATen/record_function.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#if RETORT_CUDA
#include "ATen/cuda/CUDAGraph.h"
#include "c10/cuda/CUDAGuard.h"
#include "c10/cuda/CUDAStream.h"
#include "torch/csrc/autograd/autograd.h"
#endif

#include "retort/nn/build_model.h"

namespace retort::nn {
namespace {

struct Family {
  std::string name;
  std::string options;  // without chance, so that a replay can be compared
};

void PrintTo(const Family& family, std::ostream* stream) { *stream << family.name; }

const Family kFamilies[] = {
    {"cifar_resnet", "depth: 8"},
    {"convnext", "drop_path: 0"},
    {"deep_nn", "dropout: 0"},
    {"efficientnet", "dropout: 0 drop_path: 0"},
    {"light_nn", "dropout: 0"},
    {"mobilenet_v2", "dropout: 0"},
    {"mobilenet_v3", "dropout: 0"},
    {"notebook_deep_nn", "dropout: 0"},
    {"notebook_light_nn", "dropout: 0"},
    {"plain_cnn", "convolutions: [4, 8]"},
    {"residual", "depth: 7 width: 16"},
    {"resnet", ""},
    {"shufflenet_v1", ""},
    {"shufflenet_v2", ""},
    {"vgg", "depth: VGG_8"},
    {"vit", "depth: 2 distillation_token: true"},
    {"wide_resnet", "depth: 10 widen: 1"},
};

class FamilyTest : public ::testing::TestWithParam<Family> {
 protected:
  static std::unique_ptr<Model> Build(const std::string& options) {
    config::Model config;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(GetParam().name + " { " + options + " }", &config));
    return BuildModel(config, {3, 32, 32, 10}, /*seed=*/1, /*channels_last=*/true).value();
  }

  static at::Tensor Images(double phase) {
    return (at::linspace(-2, 2, 4 * 3 * 32 * 32) * 7 + phase)
        .sin()
        .reshape({4, 3, 32, 32})
        .contiguous(at::MemoryFormat::ChannelsLast);
  }

  static at::Tensor Loss(const Outputs& outputs, const at::Tensor& labels) {
    at::Tensor loss = at::cross_entropy_loss(outputs.logits, labels);
    if (outputs.distillation_logits.defined()) {
      loss = loss + at::cross_entropy_loss(outputs.distillation_logits, labels);
    }
    for (const auto& [name, tap] : outputs.taps) loss = loss + tap.square().mean();
    return loss;
  }
};

// Those of the operators that hand a number or a shape of the device's to the host which have run.
std::set<std::string>& Waits() {
  thread_local std::set<std::string> waits;
  return waits;
}

std::unique_ptr<at::ObserverContext> NoteWait(const at::RecordFunction& function) {
  for (const char* waiting : {"aten::_local_scalar_dense", "aten::nonzero", "aten::equal", "aten::is_nonzero",
                              "aten::masked_select", "aten::_unique2", "aten::bincount"}) {
    if (absl::string_view(function.name()) == waiting) Waits().insert(waiting);
  }
  return nullptr;
}

// Waits of `function` on this thread.
template <typename Function>
std::set<std::string> WaitsOf(const Function& function) {
  Waits().clear();
  const at::CallbackHandle handle = at::addThreadLocalCallback(
      at::RecordFunctionCallback(&NoteWait).scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION}));
  function();
  at::removeCallback(handle);
  return Waits();
}

TEST(WaitsTest, AreSeenForwardsAndBackwards) {
  const at::Tensor one = at::ones({1});
  EXPECT_EQ(WaitsOf([&] { one.item<float>(); }), (std::set<std::string>{"aten::_local_scalar_dense"}));
  EXPECT_EQ(WaitsOf([&] { one.nonzero(); }), (std::set<std::string>{"aten::nonzero"}));
  const at::Tensor x = at::ones({2}).requires_grad_();
  const at::Tensor y = x.prod(0).sum();  // whose backward pass looks for zeros
  EXPECT_FALSE(WaitsOf([&] { y.backward(); }).empty());
  EXPECT_TRUE(WaitsOf([&] { (one + 1).sum(); }).empty());
}

TEST_P(FamilyTest, NeverWaitsForTheDevice) {
  const std::unique_ptr<Model> model = Build(GetParam().options);
  const at::Tensor images = Images(0), labels = at::arange(4, at::kLong);
  const Request everything = {true, model->TapNames()};
  for (const bool training : {true, false}) {
    model->SetTraining(training);
    EXPECT_EQ(WaitsOf([&] {
                const Outputs outputs = model->Forward(images, everything);
                (Loss(outputs, labels) + outputs.embedding.square().mean()).backward();
              }),
              std::set<std::string>())
        << (training ? "training" : "evaluation");
  }
}

// As it is trained by default, with chance.
TEST_P(FamilyTest, NeverWaitsForTheDeviceWithDropout) {
  const std::unique_ptr<Model> model = Build(GetParam().name == "plain_cnn" ? "convolutions: 4 dropout: 0.5" : "");
  EXPECT_EQ(WaitsOf([&] { Loss(model->Forward(Images(0), {}), at::arange(4, at::kLong)).backward(); }),
            std::set<std::string>());
}

#if RETORT_CUDA

std::vector<at::Tensor> StateOf(const Model& model) {
  std::vector<at::Tensor> state;
  for (const auto& [name, tensor] : model.Parameters()) state.push_back(tensor);
  for (const auto& [name, tensor] : model.Buffers()) state.push_back(tensor);
  return state;
}

// One step of plain SGD.
void Step(Model* model, const at::Tensor& loss) {
  std::vector<at::Tensor> parameters;
  for (const auto& [name, parameter] : model->Parameters()) parameters.push_back(parameter);
  const std::vector<at::Tensor> gradients =
      torch::autograd::grad({loss}, parameters, {}, /*retain_graph=*/std::nullopt, /*create_graph=*/false,
                            /*allow_unused=*/true);
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (gradients[i].defined()) parameters[i].sub_(gradients[i], 0.01);
  }
}

TEST_P(FamilyTest, PassAndStepAreCapturedOnCUDA) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no CUDA device here";
  const std::unique_ptr<Model> model = Build(GetParam().options);
  for (const at::Tensor& tensor : StateOf(*model)) tensor.set_data(tensor.detach().to(at::kCUDA));
  const at::Tensor images = Images(0).to(at::kCUDA), others = Images(1).to(at::kCUDA),
                   labels = at::arange(4, at::kLong).to(at::kCUDA);
  const c10::cuda::CUDAStream stream = c10::cuda::getStreamFromPool();
  const c10::cuda::CUDAStreamGuard guard(stream);

  for (const bool training : {false, true}) {
    model->SetTraining(training);
    at::Tensor logits;
    const auto pass = [&] {
      const at::AutoGradMode gradients(training);
      const Outputs outputs = model->Forward(images, {});
      logits = outputs.logits.detach();
      if (training) Step(model.get(), Loss(outputs, labels));
    };
    for (int i = 0; i < 3; ++i) pass();  // libraries choose their workspaces
    stream.synchronize();
    at::cuda::CUDAGraph graph;
    graph.capture_begin();
    pass();
    graph.capture_end();
    const at::Tensor captured = logits;

    std::vector<at::Tensor> before, replayed;
    for (const at::Tensor& tensor : StateOf(*model)) before.push_back(tensor.detach().clone());
    images.copy_(others);
    graph.replay();
    const at::Tensor replayed_logits = captured.clone();
    for (const at::Tensor& tensor : StateOf(*model)) replayed.push_back(tensor.detach().clone());
    const std::vector<at::Tensor> state = StateOf(*model);
    for (size_t i = 0; i < state.size(); ++i) state[i].detach().copy_(before[i]);
    pass();
    EXPECT_TRUE(at::allclose(replayed_logits, logits, 1e-3, 1e-4)) << "training " << training;
    for (size_t i = 0; i < state.size(); ++i) {
      EXPECT_TRUE(at::allclose(replayed[i], state[i].detach(), 1e-3, 1e-4))
          << "training " << training << ", tensor " << i;
    }
  }
}

#else

TEST_P(FamilyTest, PassAndStepAreCapturedOnCUDA) { GTEST_SKIP() << "no CUDA device here"; }

#endif

INSTANTIATE_TEST_SUITE_P(Families, FamilyTest, ::testing::ValuesIn(kFamilies),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace retort::nn
