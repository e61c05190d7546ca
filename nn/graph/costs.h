// What a forward pass costs, layer by layer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "retort/nn/graph/recording.h"

namespace retort::nn {

// Multiply-accumulates of one operator in a forward pass, with o elements of output:
//
//   conv2d                         o * (C_in / groups) * kernel height * kernel width
//   linear, matmul, mm, bmm        o * (inner dimension)
//   addmm, baddbmm                 the same
//   scaled_dot_product_attention   queries * S * (E + V): S keys, E elements of a key, V of a value
//
// Everything else counts nothing: biases, norms, activations, pools, softmax. FLOPs as papers count them are twice
// these; "GFLOPS" of torchvision's tables are these.
int64_t MultiplyAccumulates(const Recording& recording, const RecordedOp& op);

// An operator that has weights or multiplies, with those that follow it until the next such one.
struct LayerCost {
  // Owner of the weights: "layer1.0.conv1" of layer1.0.conv1.weight; empty where there are none.
  std::string layer;
  std::vector<std::string> ops;       // in order: conv2d, batch_norm, relu_
  std::vector<int64_t> output_shape;  // of the last of them
  // Elements of the parameters that no earlier layer has used; buffers are not counted.
  int64_t parameters = 0;
  int64_t macs = 0;
  // Of all results in memory of their own; views and results in place take none.
  int64_t activation_bytes = 0;
};

// In order of the pass; parameters that it does not use are a last layer "(unused)". What no image enters into, such as
// a weight that is computed from two parameters, costs nothing; its parameters are those of the layer that uses it.
// Divide by the batch size for the costs of an image, or record a batch of one.
std::vector<LayerCost> LayerCosts(const Recording& recording);

}  // namespace retort::nn
