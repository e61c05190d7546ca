// Writes what export_onnx_oracle_test.py checks: for each case an ONNX file, and a safetensors file of images and of
// what the model makes of them here.
//
//   write_export_cases FOLDER
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "ATen/Context.h"
#include "ATen/TensorOperators.h"
#include "ATen/core/grad_mode.h"
#include "ATen/ops/_weight_norm.h"
#include "ATen/ops/adaptive_avg_pool2d.h"
#include "ATen/ops/addmm.h"
#include "ATen/ops/avg_pool2d.h"
#include "ATen/ops/batch_norm.h"
#include "ATen/ops/cat.h"
#include "ATen/ops/chunk.h"
#include "ATen/ops/clamp.h"
#include "ATen/ops/clamp_min.h"
#include "ATen/ops/conv2d.h"
#include "ATen/ops/dropout.h"
#include "ATen/ops/elu.h"
#include "ATen/ops/gelu.h"
#include "ATen/ops/hardsigmoid.h"
#include "ATen/ops/hardswish.h"
#include "ATen/ops/hardtanh.h"
#include "ATen/ops/layer_norm.h"
#include "ATen/ops/linear.h"
#include "ATen/ops/matmul.h"
#include "ATen/ops/max_pool2d.h"
#include "ATen/ops/pad.h"
#include "ATen/ops/rand.h"
#include "ATen/ops/rand_like.h"
#include "ATen/ops/randint.h"
#include "ATen/ops/randn.h"
#include "ATen/ops/randn_like.h"
#include "ATen/ops/relu6.h"
#include "ATen/ops/scalar_tensor.h"
#include "ATen/ops/scaled_dot_product_attention.h"
#include "ATen/ops/silu.h"
#include "ATen/ops/softmax.h"
#include "ATen/ops/tensor.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"

#include "retort/data/io/file.h"
#include "retort/data/io/status_macros.h"
#include "retort/nn/build_model.h"
#include "retort/nn/graph/function_model.h"
#include "retort/nn/onnx/export_onnx.h"
#include "retort/nn/weights.h"

namespace retort::nn {
namespace {

using Tensors = std::vector<at::Tensor>;

// A family and its options, and what it is built for. A new family joins here.
struct FamilyCase {
  const char* name;
  const char* model;
  ModelShape shape;
};

const FamilyCase kFamilies[] = {
    {"deep_nn", "deep_nn { }", {}},
    {"deep_nn_grey", "deep_nn { conv1: 12 conv4: 8 hidden: 20 }", {1, 28, 20, 7}},
    {"light_nn", "light_nn { }", {}},
    {"resnet18", "resnet { stem: CIFAR }", {3, 32, 32, 100}},
    {"resnet50", "resnet { depth: RESNET_50 }", {3, 64, 96, 20}},
    {"cifar_resnet", "cifar_resnet { depth: 14 }", {3, 32, 40, 10}},
    {"wide_resnet", "wide_resnet { depth: 10 widen: 2 }", {3, 32, 32, 10}},
    {"vgg", "vgg { depth: VGG_8 }", {3, 32, 32, 10}},
    {"notebook_deep_nn", "notebook_deep_nn { }", {}},
    {"notebook_light_nn", "notebook_light_nn { }", {}},
    {"residual", "residual { depth: 15 width: 16 }", {}},
    {"plain_cnn", "plain_cnn { convolutions: [16, 32] hidden: 64 }", {}},
    {"mobilenet_v2", "mobilenet_v2 { width_multiplier: 0.35 }", {3, 64, 80, 10}},
    {"mobilenet_v2_benchmark", "mobilenet_v2 { form: BENCHMARK width_multiplier: 0.5 }", {3, 32, 32, 100}},
    {"mobilenet_v3", "mobilenet_v3 { size: SMALL }", {3, 64, 64, 10}},
    {"shufflenet_v1", "shufflenet_v1 { }", {3, 32, 32, 100}},
    {"shufflenet_v2", "shufflenet_v2 { size: X0_5 }", {3, 64, 64, 10}},
    {"shufflenet_v2_benchmark", "shufflenet_v2 { form: BENCHMARK }", {3, 32, 32, 100}},
    {"efficientnet", "efficientnet { }", {3, 64, 64, 10}},
    {"convnext", "convnext { }", {3, 64, 64, 10}},
    {"vit", "vit { patch: 4 depth: 6 norm_eps: 1e-5 class_token_init: TRUNCATED_NORMAL }", {3, 32, 32, 10}},
    {"vit_distilled", "vit { depth: 2 distillation_token: true }", {3, 64, 48, 10}},
    {"vit_mean", "vit { depth: 2 pool: MEAN class_token: false }", {3, 64, 64, 10}},
};

// Of a graph with logits and embedding, and of one with all taps: who asks for taps may get other operators.
constexpr int64_t kFamilyImages = 64;
constexpr int64_t kTapImages = 8;

// One operator, or a few. Parameters are of these shapes and normally distributed, called p0, p1, ...
struct OpCase {
  const char* name;
  std::vector<int64_t> image;  // without the batch
  std::vector<std::vector<int64_t>> parameters;
  FunctionModel::Function forward;
};

constexpr int64_t kOpImages = 7;

std::vector<OpCase> ActivationCases() {
  return {
      {"relu", {5}, {}, [](const at::Tensor& x, const Tensors&) { return x.relu(); }},
      {"relu_in_place", {5}, {}, [](const at::Tensor& x, const Tensors&) { return (x * 1).relu_(); }},
      {"relu6", {5}, {}, [](const at::Tensor& x, const Tensors&) { return at::relu6(x * 6); }},
      {"hardtanh", {5}, {}, [](const at::Tensor& x, const Tensors&) { return at::hardtanh(x, -0.5, 0.25); }},
      {"clamp", {5}, {}, [](const at::Tensor& x, const Tensors&) { return at::clamp(x, -0.5, 0.25); }},
      {"clamp_low", {5}, {}, [](const at::Tensor& x, const Tensors&) { return at::clamp(x, -0.5); }},
      {"clamp_min", {5}, {}, [](const at::Tensor& x, const Tensors&) { return at::clamp_min(x, 0.125); }},
      {"sigmoid", {5}, {}, [](const at::Tensor& x, const Tensors&) { return x.sigmoid(); }},
      {"tanh", {5}, {}, [](const at::Tensor& x, const Tensors&) { return x.tanh(); }},
      {"hardsigmoid", {5}, {}, [](const at::Tensor& x, const Tensors&) { return at::hardsigmoid(x * 4); }},
      {"hardswish", {5}, {}, [](const at::Tensor& x, const Tensors&) { return at::hardswish(x * 4); }},
      {"silu", {5}, {}, [](const at::Tensor& x, const Tensors&) { return at::silu(x); }},
      {"gelu", {5}, {}, [](const at::Tensor& x, const Tensors&) { return at::gelu(x); }},
      {"gelu_tanh", {5}, {}, [](const at::Tensor& x, const Tensors&) { return at::gelu(x, "tanh"); }},
      {"elu", {5}, {}, [](const at::Tensor& x, const Tensors&) { return at::elu(x, 0.75); }},
      {"softmax", {3, 5}, {}, [](const at::Tensor& x, const Tensors&) { return at::softmax(x, 1); }},
      {"add_and_sub",
       {3, 5},
       {{3, 1}, {5}},
       [](const at::Tensor& x, const Tensors& p) { return (x + 2).add(p[0], 0.5).sub(p[1], 3) - 1; }},
      {"mul_and_div",
       {3, 5},
       {{3, 1}},
       [](const at::Tensor& x, const Tensors& p) { return x * p[0] * 0.3 / (x * x + 2) / 7; }},
      {"scalar_tensor",
       {3},
       {},
       [](const at::Tensor& x, const Tensors&) { return x * at::scalar_tensor(0.7, at::kDouble); }},
      {"squeeze_and_excite",
       {6, 5, 4},
       {{2, 6, 1, 1}, {2}, {6, 2, 1, 1}, {6}},
       [](const at::Tensor& x, const Tensors& p) {
         const at::Tensor squeezed = at::silu(at::conv2d(at::adaptive_avg_pool2d(x, {1, 1}), p[0], p[1]));
         return x * at::conv2d(squeezed, p[2], p[3]).sigmoid();
       }},
  };
}

std::vector<OpCase> LayerCases() {
  return {
      {"conv2d",
       {3, 9, 8},
       {{4, 3, 3, 5}, {4}},
       [](const at::Tensor& x, const Tensors& p) {
         return at::conv2d(x, p[0], p[1], {2, 1}, {1, 2});
       }},
      {"conv2d_groups",
       {6, 9, 8},
       {{6, 2, 3, 3}},
       [](const at::Tensor& x, const Tensors& p) { return at::conv2d(x, p[0], {}, 1, 2, 2, 3); }},
      {"conv2d_depthwise",
       {6, 9, 8},
       {{6, 1, 3, 3}},
       [](const at::Tensor& x, const Tensors& p) { return at::conv2d(x, p[0], {}, 2, 1, 1, 6); }},
      {"linear", {6}, {{4, 6}, {4}}, [](const at::Tensor& x, const Tensors& p) { return at::linear(x, p[0], p[1]); }},
      {"linear_without_bias", {6}, {{4, 6}}, [](const at::Tensor& x, const Tensors& p) { return at::linear(x, p[0]); }},
      {"linear_of_tokens",
       {5, 6},
       {{4, 6}, {4}},
       [](const at::Tensor& x, const Tensors& p) { return at::linear(x, p[0], p[1]); }},
      {"linear_of_tokens_without_bias",
       {5, 6},
       {{4, 6}},
       [](const at::Tensor& x, const Tensors& p) { return at::linear(x, p[0]); }},
      {"weight_norm",
       {6},
       {{4, 6}, {4, 1}, {4}},
       [](const at::Tensor& x, const Tensors& p) { return at::linear(x, at::_weight_norm(p[0], p[1], 0), p[2]); }},
      {"matmul", {5, 6}, {{6, 3}}, [](const at::Tensor& x, const Tensors& p) { return at::matmul(x, p[0]); }},
      {"bmm", {5, 6}, {}, [](const at::Tensor& x, const Tensors&) { return x.bmm(x.transpose(1, 2)); }},
      {"mm", {6}, {{3, 6}}, [](const at::Tensor& x, const Tensors& p) { return x.mm(p[0].t()); }},
      {"addmm",
       {6},
       {{4}, {4, 6}},
       [](const at::Tensor& x, const Tensors& p) { return at::addmm(p[0], x, p[1].t(), 0.5, 2); }},
      {"linear_module_of_tokens",
       {5, 6},
       {{4}, {4, 6}},
       [](const at::Tensor& x, const Tensors& p) { return at::matmul(x, p[1].t()) + p[0]; }},
      {"batch_norm",
       {4, 3, 2},
       {{4}, {4}, {4}, {4}},
       [](const at::Tensor& x, const Tensors& p) {
         return at::batch_norm(x, p[0], p[1], p[2], p[3].abs(), false, 0.1, 1e-3, false);
       }},
      {"batch_norm_without_weights",
       {4, 3, 2},
       {{4}, {4}},
       [](const at::Tensor& x, const Tensors& p) {
         return at::batch_norm(x, {}, {}, p[0], p[1].abs(), false, 0.1, 1e-5, false);
       }},
      {"layer_norm",
       {5, 6},
       {{6}, {6}},
       [](const at::Tensor& x, const Tensors& p) { return at::layer_norm(x, {6}, p[0], p[1], 1e-6); }},
      {"layer_norm_without_weights",
       {3, 5, 6},
       {},
       [](const at::Tensor& x, const Tensors&) {
         return at::layer_norm(x, {5, 6});
       }},
      {"layer_norm_of_channels",
       {6, 3, 4},
       {{6}, {6}, {6, 1, 1}},
       [](const at::Tensor& x, const Tensors& p) {
         return at::layer_norm(x.permute({0, 2, 3, 1}), {6}, p[0], p[1], 1e-6).permute({0, 3, 1, 2}) * p[2];
       }},
      {"max_pool2d",
       {3, 9, 8},
       {},
       [](const at::Tensor& x, const Tensors&) {
         return at::max_pool2d(x, {3, 2}, {2, 1}, {1, 0}, {1, 2});
       }},
      {"max_pool2d_stride_of_the_kernel",
       {3, 9, 8},
       {},
       [](const at::Tensor& x, const Tensors&) { return at::max_pool2d(x, 2); }},
      {"avg_pool2d_counts_pads",
       {3, 9, 8},
       {},
       [](const at::Tensor& x, const Tensors&) { return at::avg_pool2d(x, 3, 2, 1); }},
      {"avg_pool2d_leaves_pads_out",
       {3, 9, 8},
       {},
       [](const at::Tensor& x, const Tensors&) { return at::avg_pool2d(x, 3, 2, 1, false, false); }},
      {"adaptive_avg_pool2d_to_one",
       {3, 9, 8},
       {},
       [](const at::Tensor& x, const Tensors&) {
         return at::adaptive_avg_pool2d(x, {1, 1}).flatten(1);
       }},
      {"adaptive_avg_pool2d_in_windows",
       {3, 9, 8},
       {},
       [](const at::Tensor& x, const Tensors&) {
         return at::adaptive_avg_pool2d(x, {3, 2});
       }},
      {"mean",
       {3, 9, 8},
       {},
       [](const at::Tensor& x, const Tensors&) {
         return x.mean({-2, -1});
       }},
      {"mean_keeps",
       {3, 9, 8},
       {},
       [](const at::Tensor& x, const Tensors&) {
         return x.mean({1, 3}, true);
       }},
      {"attention",
       {3, 5, 4},
       {{3, 6, 4}, {3, 6, 2}},
       [](const at::Tensor& x, const Tensors& p) {
         return at::scaled_dot_product_attention(x, p[0].expand({x.size(0), 3, 6, 4}),
                                                 p[1].expand({x.size(0), 3, 6, 2}));
       }},
      {"attention_masked_and_scaled",
       {3, 5, 4},
       {{5, 5}},
       [](const at::Tensor& x, const Tensors& p) {
         return at::scaled_dot_product_attention(x, x * 2, x, p[0], 0, false, 0.3);
       }},
  };
}

// A transformer's block of width 12 and 3 heads on 2x2 patches of 8x8 images, with a class token.
at::Tensor Transformer(const at::Tensor& x, const Tensors& p) {
  const int64_t batch = x.size(0);
  at::Tensor tokens = at::conv2d(x, p[0], p[1], 4).flatten(2).transpose(1, 2);
  tokens = at::cat({p[2].expand({batch, -1, -1}), tokens}, 1) + p[3];
  const at::Tensor normed = at::layer_norm(tokens, {12}, p[4], p[5]);
  const std::vector<at::Tensor> qkv =
      at::linear(normed, p[6], p[7]).reshape({batch, 5, 3, 3, 4}).permute({2, 0, 3, 1, 4}).unbind(0);
  const at::Tensor attended = at::scaled_dot_product_attention(qkv[0], qkv[1], qkv[2]);
  tokens = tokens + at::dropout(attended.transpose(1, 2).reshape({batch, 5, 12}), 0.1, false);
  return tokens.select(1, 0);
}

std::vector<OpCase> ShapeCases() {
  return {
      {"flatten", {3, 4, 5}, {}, [](const at::Tensor& x, const Tensors&) { return x.flatten(1); }},
      {"channel_shuffle",
       {6, 3, 4},
       {},
       [](const at::Tensor& x, const Tensors&) {
         return x.view({x.size(0), 2, 3, 3, 4}).transpose(1, 2).contiguous().view({x.size(0), 6, 3, 4});
       }},
      {"reshape_joins_the_batch",
       {6, 4},
       {},
       [](const at::Tensor& x, const Tensors&) {
         const at::Tensor rows = x.reshape({x.size(0) * 3, 8});
         return (rows * 2).view({x.size(0), -1});
       }},
      {"unflatten_and_squeeze",
       {6, 4},
       {},
       [](const at::Tensor& x, const Tensors&) {
         return x.unflatten(1, {1, 2, 3}).squeeze(1).unsqueeze(-1);
       }},
      {"permute",
       {3, 4, 5},
       {},
       [](const at::Tensor& x, const Tensors&) {
         return x.permute({0, -1, 1, 2});
       }},
      {"matrix_transpose", {4, 5}, {}, [](const at::Tensor& x, const Tensors&) { return x.mT(); }},
      {"select", {3, 4}, {}, [](const at::Tensor& x, const Tensors&) { return x.select(-1, -2); }},
      {"index",
       {5, 4},
       {},
       [](const at::Tensor& x, const Tensors&) { return x.slice(1, 1, -1).slice(2, 0, INT64_MAX, 2); }},
      {"narrow", {5, 4}, {}, [](const at::Tensor& x, const Tensors&) { return x.narrow(1, 2, 3); }},
      {"unbind",
       {3, 4},
       {},
       [](const at::Tensor& x, const Tensors&) {
         const std::vector<at::Tensor> parts = x.unbind(1);
         return parts[0] * parts[2] - parts[1];
       }},
      {"chunk",
       {7, 2},
       {},
       [](const at::Tensor& x, const Tensors&) {
         const std::vector<at::Tensor> parts = at::chunk(x, 3, 1);  // of 3, 3 and 1
         return at::cat({parts[2], parts[0] * parts[1]}, -2);
       }},
      {"split",
       {6, 2},
       {},
       [](const at::Tensor& x, const Tensors&) {
         const std::vector<at::Tensor> halves = x.split(3, 1), parts = x.split_with_sizes({1, 2, 3}, -2);
         return at::cat({halves[1] * parts[2], parts[1], parts[0]}, 1);
       }},
      {"class_token",
       {4, 5},
       {{1, 1, 5}, {1, 5, 5}},
       [](const at::Tensor& x, const Tensors& p) {
         return at::cat({p[0].expand({x.size(0), -1, -1}), x}, 1) + p[1];
       }},
      {"class_token_expanded_as",
       {1, 5},
       {{1, 1, 5}},
       [](const at::Tensor& x, const Tensors& p) {
         return at::cat({p[0].expand_as(x), x}, 1);
       }},
      {"expand_beside_the_batch",
       {1, 5},
       {},
       [](const at::Tensor& x, const Tensors&) {
         return x.expand({-1, 3, -1}) * 1;
       }},
      {"pad",
       {3, 4, 5},
       {},
       [](const at::Tensor& x, const Tensors&) {
         return at::pad(x, {0, 1, 2, 0, 1, 3}, "constant", 0.5);
       }},
      {"hands_on",
       {3, 4},
       {},
       [](const at::Tensor& x, const Tensors&) {
         return at::dropout(x.clone().detach().alias().to(at::kFloat), 0.5, false).contiguous();
       }},
      {"transformer",
       {3, 8, 8},
       {{12, 3, 4, 4}, {12}, {1, 1, 12}, {1, 5, 12}, {12}, {12}, {36, 12}, {36}},
       Transformer},
  };
}

absl::Status WriteCase(const std::string& folder, const std::string& name, Model* model, const ModelShape& shape,
                       const at::Tensor& images, const at::Tensor& normalized, const OnnxOptions& options) {
  absl::StatusOr<std::string> exported = ExportOnnx(model, shape, options);
  if (!exported.ok()) {
    return absl::Status(exported.status().code(), absl::StrCat(name, ": ", exported.status().message()));
  }
  RETORT_RETURN_IF_ERROR(data::WriteFileAtomically(absl::StrCat(folder, "/", name, ".onnx"), *exported));
  const at::NoGradGuard no_grad;
  const Outputs outputs = model->Forward(normalized, options.outputs);
  std::vector<NamedTensor> tensors = {{"images", images}, {"logits", outputs.logits}};
  if (options.outputs.embedding) tensors.emplace_back("embedding", outputs.embedding);
  for (const auto& [tap, tensor] : outputs.taps) tensors.emplace_back(tap, tensor);
  return SaveTensors(absl::StrCat(folder, "/", name, ".safetensors"), tensors, {});
}

absl::Status WriteOp(const std::string& folder, const OpCase& op) {
  std::vector<NamedTensor> parameters;
  for (const std::vector<int64_t>& shape : op.parameters) {
    parameters.emplace_back(absl::StrCat("p", parameters.size()), at::randn(shape));
  }
  // The graph's input has four dimensions: the image's are the last of them.
  std::vector<int64_t> sizes = op.image;
  while (sizes.size() < 3) sizes.insert(sizes.begin(), 1);
  FunctionModel model(parameters, [&op](const at::Tensor& x, const Tensors& p) {
    std::vector<int64_t> shape = op.image;
    shape.insert(shape.begin(), x.size(0));
    return op.forward(x.view(shape), p);
  });
  const at::Tensor images = at::randn({kOpImages, sizes[0], sizes[1], sizes[2]});
  return WriteCase(folder, absl::StrCat("op.", op.name), &model, {sizes[0], sizes[1], sizes[2], 1}, images, images, {});
}

// No weight and no statistic keeps its first value, which might be one that hides a fault, such as a 0 or a 1.
void Disturb(const Model& model) {
  const at::NoGradGuard no_grad;
  for (auto& [name, tensor] : model.Parameters()) tensor.add_(at::randn_like(tensor), 0.02);
  for (auto& [name, tensor] : model.Buffers()) {
    if (tensor.is_floating_point()) tensor.add_(at::rand_like(tensor), 0.5);
  }
}

absl::Status WriteFamily(const std::string& folder, const FamilyCase& family, OnnxOptions::Input input, bool taps) {
  config::Model config;
  if (!google::protobuf::TextFormat::ParseFromString(family.model, &config)) {
    return absl::InvalidArgumentError(absl::StrCat(family.name, ": ", family.model, " is no model"));
  }
  RETORT_ASSIGN_OR_RETURN(const std::unique_ptr<Model> model,
                          BuildModel(config, family.shape, /*seed=*/7, /*channels_last=*/false));
  Disturb(*model);
  const std::vector<int64_t> sizes = {taps ? kTapImages : kFamilyImages, family.shape.channels, family.shape.height,
                                      family.shape.width};
  OnnxOptions options;
  options.input = input;
  options.outputs.embedding = true;
  if (taps) options.outputs.taps = model->TapNames();
  options.metadata = {{"retort.family", family.name}};
  if (input == OnnxOptions::Input::kNormalized) {
    const at::Tensor images = at::randn(sizes);
    return WriteCase(folder, absl::StrCat("family.", family.name, taps ? "_with_taps" : ""), model.get(), family.shape,
                     images, images, options);
  }
  options.mean = {0.49, 0.48, 0.45};
  options.std = {0.2, 0.25, 0.3};
  const at::Tensor mean = at::tensor({0.49, 0.48, 0.45}, at::kFloat).view({3, 1, 1}),
                   std = at::tensor({0.2, 0.25, 0.3}, at::kFloat).view({3, 1, 1});
  const bool bytes = input == OnnxOptions::Input::kBytes;
  const at::Tensor images = bytes ? at::randint(256, sizes, at::kByte) : at::rand(sizes);
  const at::Tensor unit = bytes ? images.to(at::kFloat) / 255 : images;
  return WriteCase(folder, absl::StrCat("family.", family.name, bytes ? "_of_bytes" : "_of_unit"), model.get(),
                   family.shape, images, (unit - mean) / std, options);
}

absl::Status WriteAll(const std::string& folder) {
  at::manual_seed(5);
  for (const auto& cases : {ActivationCases(), LayerCases(), ShapeCases()}) {
    for (const OpCase& op : cases) RETORT_RETURN_IF_ERROR(WriteOp(folder, op));
  }
  for (const FamilyCase& family : kFamilies) {
    for (const bool taps : {false, true}) {
      RETORT_RETURN_IF_ERROR(WriteFamily(folder, family, OnnxOptions::Input::kNormalized, taps));
    }
  }
  const FamilyCase& light_nn = kFamilies[2];
  RETORT_RETURN_IF_ERROR(WriteFamily(folder, light_nn, OnnxOptions::Input::kUnit, /*taps=*/false));
  return WriteFamily(folder, light_nn, OnnxOptions::Input::kBytes, /*taps=*/false);
}

}  // namespace
}  // namespace retort::nn

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "write_export_cases FOLDER\n");
    return 64;
  }
  const absl::Status status = retort::nn::WriteAll(argv[1]);
  if (!status.ok()) std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  return status.ok() ? 0 : 1;
}
