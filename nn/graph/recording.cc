#include "retort/nn/graph/recording.h"

#include <exception>
#include <memory>
#include <unordered_map>

#include "ATen/core/function_schema.h"
#include "ATen/core/grad_mode.h"
#include "ATen/record_function.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "c10/util/Exception.h"

#include "retort/data/io/status_macros.h"

namespace retort::nn {
namespace {

constexpr int kNone = -1;

class Recorder {
 public:
  Recorder(const Model& model, const at::Tensor& images) {
    Add(images, RecordedValue::Source::kImages, /*constant=*/false);
    for (const auto& [name, tensor] : model.Parameters()) {
      Add(tensor, RecordedValue::Source::kParameter, /*constant=*/true, name);
    }
    for (const auto& [name, tensor] : model.Buffers()) {
      Add(tensor, RecordedValue::Source::kBuffer, /*constant=*/true, name);
    }
  }

  void Begin(const at::RecordFunction& function) {
    if (depth_++ > 0) return;
    const auto schema = function.operator_schema();
    if (!schema.has_value()) {
      Fail(absl::UnimplementedError(absl::StrCat("the operator ", function.name(), " has no schema")));
      return;
    }
    const c10::ArrayRef<const c10::IValue> inputs = function.inputs();
    op_ = {};
    written_.clear();
    op_.name = std::string(absl::StripPrefix(schema->name(), "aten::"));
    for (size_t i = 0; i < inputs.size() && i < schema->arguments().size(); ++i) {
      const c10::Argument& declared = schema->arguments()[i];
      RecordedOp::Argument argument{declared.name(), inputs[i], Positions(inputs[i])};
      if (declared.alias_info() != nullptr && declared.alias_info()->isWrite()) {
        written_.insert(written_.end(), argument.tensors.begin(), argument.tensors.end());
      }
      op_.arguments.push_back(std::move(argument));
    }
    for (const int position : op_.Tensors()) CheckRead(position);
    // Who has read a constant before it is written to must keep what he read.
    for (const int position : written_) {
      RecordedValue& value = recording_.values[static_cast<size_t>(position)];
      if (value.constant) value.tensor = value.tensor.clone();
    }
  }

  void End(const at::RecordFunction& function) {
    if (--depth_ > 0 || op_.name.empty()) return;
    bool constant = true;
    for (const int input : op_.Tensors()) constant = constant && recording_.values[static_cast<size_t>(input)].constant;
    bool hands_on = written_.empty();
    for (const c10::IValue& output : function.outputs()) {
      for (const at::Tensor& tensor : Tensors(output)) {
        const auto known = positions_.find(tensor.unsafeGetTensorImpl());
        if (known != positions_.end() && written_.empty()) {
          op_.outputs.push_back(known->second);
          continue;
        }
        hands_on = false;
        op_.outputs.push_back(Add(tensor, RecordedValue::Source::kOp, constant));
      }
    }
    for (const int position : written_) Overwrite(position);
    if (!hands_on && !op_.outputs.empty()) recording_.ops.push_back(std::move(op_));
    op_ = {};
  }

  absl::Status Finish(const Outputs& outputs, const Request& request) {
    AddOutput("logits", outputs.logits);
    if (request.embedding) AddOutput("embedding", outputs.embedding);
    for (const auto& [name, tensor] : outputs.taps) AddOutput(name, tensor);
    return status_;
  }

  Recording& recording() { return recording_; }

 private:
  static std::vector<at::Tensor> Tensors(const c10::IValue& value) {
    if (value.isTensor()) return {value.toTensor()};
    if (value.isTensorList()) return value.toTensorVector();
    std::vector<at::Tensor> tensors;
    if (value.isList()) {
      for (const c10::IValue& element : value.toListRef()) {
        if (element.isTensor()) tensors.push_back(element.toTensor());
      }
    }
    return tensors;
  }

  // Tensors that nobody has seen are constants.
  std::vector<int> Positions(const c10::IValue& value) {
    std::vector<int> positions;
    for (const at::Tensor& tensor : Tensors(value)) {
      if (!tensor.defined()) {
        positions.push_back(kNone);
        continue;
      }
      const auto known = positions_.find(tensor.unsafeGetTensorImpl());
      positions.push_back(known != positions_.end() ? known->second
                                                    : Add(tensor, RecordedValue::Source::kConstant, /*constant=*/true));
    }
    return positions;
  }

  int Add(const at::Tensor& tensor, RecordedValue::Source source, bool constant, const std::string& name = "") {
    const int position = static_cast<int>(recording_.values.size());
    positions_[tensor.unsafeGetTensorImpl()] = position;
    std::vector<int>& sharing = sharing_[tensor.storage().unsafeGetStorageImpl()];
    // The recording keeps every tensor, so that no address comes back as another tensor's.
    recording_.values.push_back({tensor, source, name, constant, /*allocated=*/sharing.empty()});
    sharing.push_back(position);
    overwritten_by_.emplace_back();
    return position;
  }

  // All that shares the memory of `position`, but for the op's own results, no longer holds what it held.
  void Overwrite(int position) {
    const at::Tensor& tensor =
        recording_.values[static_cast<size_t>(op_.outputs.empty() ? position : op_.outputs[0])].tensor;
    for (const int other : sharing_[tensor.storage().unsafeGetStorageImpl()]) {
      bool result = false;
      for (const int output : op_.outputs) result = result || output == other;
      if (!result) overwritten_by_[static_cast<size_t>(other)] = op_.name;
    }
  }

  void CheckRead(int position) {
    const std::string& by = overwritten_by_[static_cast<size_t>(position)];
    if (by.empty()) return;
    Fail(absl::UnimplementedError(absl::StrCat(op_.name, " reads a tensor whose memory ", by,
                                               " has overwritten through another view of it; let the model call ",
                                               absl::StripSuffix(by, "_"), " instead")));
  }

  void AddOutput(const std::string& name, const at::Tensor& tensor) {
    if (!tensor.defined()) {
      Fail(absl::InternalError(absl::StrCat("the model gives no ", name)));
      return;
    }
    const auto known = positions_.find(tensor.unsafeGetTensorImpl());
    if (known == positions_.end()) {
      Fail(absl::InternalError(absl::StrCat("no operator has made the model's ", name)));
      return;
    }
    op_.name = name;
    CheckRead(known->second);
    recording_.outputs.emplace_back(name, known->second);
  }

  void Fail(absl::Status status) {
    if (status_.ok()) status_ = std::move(status);
  }

  Recording recording_;
  absl::Status status_;
  int depth_ = 0;
  RecordedOp op_;                                             // between Begin and End
  std::vector<int> written_;                                  // values it works on in place
  std::unordered_map<const at::TensorImpl*, int> positions_;  // the newest value of each tensor
  std::unordered_map<const c10::StorageImpl*, std::vector<int>> sharing_;
  std::vector<std::string> overwritten_by_;  // the operator's name; empty while the value stands
};

// Callbacks are plain functions of a thread.
thread_local Recorder* active = nullptr;

std::unique_ptr<at::ObserverContext> Begin(const at::RecordFunction& function) {
  active->Begin(function);
  return nullptr;
}

void End(const at::RecordFunction& function, at::ObserverContext* /*context*/) { active->End(function); }

class Attached {
 public:
  explicit Attached(Recorder* recorder) {
    active = recorder;
    handle_ = at::addThreadLocalCallback(at::RecordFunctionCallback(Begin, End)
                                             .needsInputs(true)
                                             .needsOutputs(true)
                                             .scopes({at::RecordScope::FUNCTION}));
  }
  Attached(const Attached&) = delete;
  Attached& operator=(const Attached&) = delete;
  ~Attached() {
    at::removeCallback(handle_);
    active = nullptr;
  }

 private:
  at::CallbackHandle handle_;
};

}  // namespace

const RecordedOp::Argument* RecordedOp::Find(absl::string_view argument) const {
  for (const Argument& candidate : arguments) {
    if (candidate.name == argument) return &candidate;
  }
  return nullptr;
}

int RecordedOp::Tensor(absl::string_view argument) const {
  const Argument* found = Find(argument);
  return found == nullptr || found->tensors.empty() ? kNone : found->tensors[0];
}

std::vector<int> RecordedOp::Tensors() const {
  std::vector<int> positions;
  for (const Argument& argument : arguments) {
    for (const int position : argument.tensors) {
      if (position != kNone) positions.push_back(position);
    }
  }
  return positions;
}

absl::StatusOr<Recording> Record(Model* model, const at::Tensor& images, const Request& request) {
  RETORT_RETURN_IF_ERROR(CheckRequest(*model, request, "model"));
  model->SetTraining(false);
  Recorder recorder(*model, images);
  Outputs outputs;
  try {
    const at::NoGradGuard no_grad;
    const Attached attached(&recorder);
    outputs = model->Forward(images, request);
  } catch (const c10::Error& error) {
    return absl::InternalError(absl::StrCat("the model's forward pass failed: ", error.what_without_backtrace()));
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("the model's forward pass failed: ", error.what()));
  }
  RETORT_RETURN_IF_ERROR(recorder.Finish(outputs, request));
  return std::move(recorder.recording());
}

}  // namespace retort::nn
