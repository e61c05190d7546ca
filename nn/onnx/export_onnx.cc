#include "retort/nn/onnx/export_onnx.h"

#include <algorithm>
#include <exception>
#include <limits>

#include "ATen/ops/zeros.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "c10/util/Exception.h"

#include "onnx/onnx.pb.h"
#include "retort/data/io/status_macros.h"
#include "retort/nn/graph/recording.h"
#include "retort/nn/onnx/elementwise.h"
#include "retort/nn/onnx/graph_builder.h"
#include "retort/nn/onnx/layers.h"
#include "retort/nn/onnx/op_context.h"
#include "retort/nn/onnx/shapes.h"

namespace retort::nn {
namespace {

constexpr int kIrVersion = 8;
constexpr int kOpset = 17;
constexpr char kImages[] = "images";

absl::Status (*FindConverter(absl::string_view op))(OpContext&) {
  for (const absl::Span<const OpConverter> converters :
       {ElementwiseConverters(), LayerConverters(), ShapeConverters()}) {
    for (const OpConverter& converter : converters) {
      if (converter.op == op) return converter.convert;
    }
  }
  return nullptr;
}

// "layer1.0.conv1" of the first weight that the operator reads; empty if there is none.
std::string OwnerOf(const Recording& recording, const RecordedOp& op) {
  for (const int position : op.Tensors()) {
    const std::string& name = recording.values[static_cast<size_t>(position)].name;
    if (!name.empty()) return name.substr(0, name.rfind('.'));
  }
  return "";
}

// Of each value: which parameter it is the transpose of, or -1.
std::vector<int> TransposedParameters(const Recording& recording) {
  std::vector<int> parameters(recording.values.size(), -1);
  for (const RecordedOp& op : recording.ops) {
    if (op.name != "t") continue;
    const RecordedValue& value = recording.values[static_cast<size_t>(op.Tensor("self"))];
    if (value.source == RecordedValue::Source::kParameter && value.tensor.dim() == 2) {
      parameters[static_cast<size_t>(op.outputs[0])] = op.Tensor("self");
    }
  }
  return parameters;
}

absl::Status CheckAlike(const Recording& one, const Recording& two) {
  bool alike = one.ops.size() == two.ops.size() && one.values.size() == two.values.size();
  for (size_t i = 0; alike && i < one.ops.size(); ++i) {
    alike = one.ops[i].name == two.ops[i].name && one.ops[i].outputs == two.ops[i].outputs &&
            one.ops[i].Tensors() == two.ops[i].Tensors();
  }
  if (alike) return absl::OkStatus();
  return absl::UnimplementedError(
      "the model calls other operators for a batch of 3 images than for 2; a graph for every batch size cannot be made "
      "of that");
}

absl::Status ConvertOp(OnnxConversion* conversion, size_t i) {
  const RecordedOp& op = conversion->recording->ops[i];
  const std::string owner = OwnerOf(*conversion->recording, op);
  conversion->graph->SetScope(owner);
  const std::string layer = owner.empty() ? "" : absl::StrCat(owner, ": ");
  const absl::string_view name = op.name[0] == '_' ? op.name : absl::StripSuffix(op.name, "_");
  const auto convert = FindConverter(name);
  if (convert == nullptr) {
    return absl::UnimplementedError(absl::StrCat(
        layer, "the operator ", op.name, " has no counterpart yet; nn/README.md says how one joins the export"));
  }
  for (const int output : op.outputs) {
    const at::ScalarType type = conversion->recording->values[static_cast<size_t>(output)].tensor.scalar_type();
    if (type != at::kFloat) {
      return absl::UnimplementedError(
          absl::StrCat(layer, "the operator ", op.name, " gives ", c10::toString(type), "; only f32 is exported"));
    }
  }
  OpContext context(conversion, i);
  absl::Status status;
  try {
    status = convert(context);
  } catch (const c10::Error& error) {
    status = context.Refuse(absl::StrCat("as it is used here: ", error.what_without_backtrace()));
  }
  if (status.ok()) status = conversion->graph->status();
  if (!status.ok()) return absl::Status(status.code(), absl::StrCat(layer, status.message()));
  return absl::OkStatus();
}

void DescribeTensor(const std::string& name, int type, const std::vector<int64_t>& shape, onnx::ValueInfoProto* info) {
  info->set_name(name);
  onnx::TypeProto::Tensor* tensor = info->mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(type);
  tensor->mutable_shape();
  for (const int64_t size : shape) {
    onnx::TensorShapeProto::Dimension* dimension = tensor->mutable_shape()->add_dim();
    if (size == kBatchDimension) {
      dimension->set_dim_param("batch");
    } else {
      dimension->set_dim_value(size);
    }
  }
}

// Adds the graph's input and what comes before the model; returns the name of what the model takes.
std::string AddInput(const ModelShape& shape, const OnnxOptions& options, onnx::GraphProto* proto,
                     GraphBuilder* graph) {
  const bool bytes = options.input == OnnxOptions::Input::kBytes;
  DescribeTensor(kImages, bytes ? onnx::TensorProto::UINT8 : onnx::TensorProto::FLOAT,
                 {kBatchDimension, shape.channels, shape.height, shape.width}, proto->add_input());
  if (options.input == OnnxOptions::Input::kNormalized) return kImages;
  graph->SetScope("normalize");
  std::string unit = kImages;
  if (bytes) {
    const std::string numbers = graph->Node("Cast", {unit}, {{"to", int64_t{onnx::TensorProto::FLOAT}}});
    unit = graph->Node("Div", {numbers, graph->Number(255)});
  }
  at::Tensor mean = at::zeros({shape.channels, 1, 1}), std = at::zeros({shape.channels, 1, 1});
  for (int64_t c = 0; c < shape.channels; ++c) {
    mean.mutable_data_ptr<float>()[c] = static_cast<float>(options.mean[static_cast<size_t>(c)]);
    std.mutable_data_ptr<float>()[c] = static_cast<float>(options.std[static_cast<size_t>(c)]);
  }
  const std::string centred = graph->Node("Sub", {unit, graph->Tensor("normalize.mean", mean)});
  return graph->Node("Div", {centred, graph->Tensor("normalize.std", std)});
}

absl::Status CheckOptions(const ModelShape& shape, const OnnxOptions& options) {
  const size_t wanted = options.input == OnnxOptions::Input::kNormalized ? 0 : static_cast<size_t>(shape.channels);
  const auto positive = [](double value) { return value > 0; };
  if (options.mean.size() == wanted && options.std.size() == wanted &&
      std::all_of(options.std.begin(), options.std.end(), positive)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("mean and std have ", options.mean.size(), " and ", options.std.size(),
                                                 " numbers; ", wanted, " of each are needed, those of std above 0"));
}

int64_t WeightBytes(const Model& model) {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : model.Parameters()) bytes += static_cast<int64_t>(tensor.nbytes());
  for (const auto& [name, tensor] : model.Buffers()) bytes += static_cast<int64_t>(tensor.nbytes());
  return bytes;
}

absl::Status TooLarge(int64_t bytes) {
  return absl::InvalidArgumentError(absl::StrCat("the model takes ", bytes,
                                                 " bytes; an ONNX file holds at most 2147483647. Export a smaller "
                                                 "model, or keep its safetensors file"));
}

}  // namespace

absl::StatusOr<std::string> ExportOnnx(Model* model, const ModelShape& shape, const OnnxOptions& options) {
  RETORT_RETURN_IF_ERROR(CheckOptions(shape, options));
  constexpr int64_t kLargest = std::numeric_limits<int32_t>::max();
  if (WeightBytes(*model) > kLargest) return TooLarge(WeightBytes(*model));
  const auto record = [&](int64_t batch) {
    return Record(model, at::zeros({batch, shape.channels, shape.height, shape.width}), options.outputs);
  };
  RETORT_ASSIGN_OR_RETURN(const Recording two, record(2));
  RETORT_ASSIGN_OR_RETURN(const Recording three, record(3));
  RETORT_RETURN_IF_ERROR(CheckAlike(two, three));

  onnx::ModelProto proto;
  proto.set_ir_version(kIrVersion);
  proto.add_opset_import()->set_version(kOpset);
  proto.set_producer_name("retort");
  proto.mutable_graph()->set_name("model");
  for (const auto& [key, value] : options.metadata) {
    onnx::StringStringEntryProto* entry = proto.add_metadata_props();
    entry->set_key(key);
    entry->set_value(value);
  }

  GraphBuilder graph(proto.mutable_graph());
  OnnxConversion conversion{&two, &three, &graph, kImages};
  conversion.names.resize(two.values.size());
  conversion.transposed = TransposedParameters(two);
  conversion.names[0] = AddInput(shape, options, proto.mutable_graph(), &graph);
  for (size_t i = 0; i < two.ops.size(); ++i) {
    const std::vector<int>& outputs = two.ops[i].outputs;
    if (std::all_of(outputs.begin(), outputs.end(), [&](int output) { return conversion.Folds(output); })) continue;
    RETORT_RETURN_IF_ERROR(ConvertOp(&conversion, i));
  }
  for (const auto& [name, position] : two.outputs) {
    onnx::NodeProto* node = proto.mutable_graph()->add_node();
    node->set_name(name);
    node->set_op_type("Identity");
    node->add_input(conversion.Name(position));
    node->add_output(name);
    DescribeTensor(name, onnx::TensorProto::FLOAT, conversion.Shape(position), proto.mutable_graph()->add_output());
  }
  RETORT_RETURN_IF_ERROR(graph.status());
  const size_t size = proto.ByteSizeLong();
  if (size > static_cast<size_t>(kLargest)) return TooLarge(static_cast<int64_t>(size));
  std::string bytes;
  if (!proto.SerializeToString(&bytes)) return absl::InternalError("the ONNX model cannot be serialised");
  return bytes;
}

}  // namespace retort::nn
