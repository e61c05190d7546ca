#include "retort/kd/targets/target_cache.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "ATen/TensorOperators.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/log_softmax.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "google/protobuf/text_format.h"

#include "retort/data/io/safetensors.h"
#include "retort/data/io/status_macros.h"
#include "retort/kd/targets/target_rows.h"
#include "retort/nn/weights.h"

namespace retort::kd {
namespace {

constexpr char kVersion[] = "retort.targets";
constexpr char kVersionText[] = "1";
constexpr char kIdentity[] = "retort.identity";
constexpr char kView[] = "retort.view";
constexpr char kFirst[] = "retort.first";
constexpr char kCount[] = "retort.count";
constexpr char kClasses[] = "retort.classes";
constexpr char kContents[] = "retort.contents";
constexpr char kCorrect[] = "retort.correct";
constexpr char kSampledImages[] = "retort.sampled";
constexpr char kKl1[] = "retort.kl_1";
constexpr char kKl4[] = "retort.kl_4";
constexpr char kError[] = "retort.error.";

// Images of a shard whose targets are compared with what is stored of them.
constexpr int64_t kSampled = 512;

std::string Shape(absl::Span<const int64_t> shape) { return absl::StrCat("[", absl::StrJoin(shape, ","), "]"); }

std::string Describe(const ShardPlace& place) {
  return absl::StrCat("images ", place.first, " to ", place.first + place.count - 1, " of view ", place.view, " of ",
                      place.identity.substr(0, 16));
}

// KL of the softmax of logits / t, f64 [B].
at::Tensor Kl(const at::Tensor& exact, const at::Tensor& stored, double t) {
  const at::Tensor p = at::log_softmax(exact.to(at::kDouble) / t, 1),
                   q = at::log_softmax(stored.to(at::kDouble) / t, 1);
  return (p.exp() * (p - q)).sum(1);
}

// ||stored - exact||_2 / ||exact||_2, f64 [B].
at::Tensor RelativeError(const at::Tensor& exact, const at::Tensor& stored) {
  const at::Tensor right = exact.to(at::kDouble).flatten(1);
  return (stored.flatten(1) - right).norm(2, 1) / right.norm(2, 1).clamp_min(1e-300);
}

// One after the other, so that a sum does not depend on how many come at a time.
void AddEach(const at::Tensor& rows, double* sum) {
  for (const double row : absl::MakeConstSpan(rows.const_data_ptr<double>(), rows.numel())) *sum += row;
}

// A verified shard.
struct Shard {
  data::SafetensorsFile file;
  ShardPlace place;
  int64_t classes = 0;
  std::string contents;
  ShardFacts facts;
};

absl::StatusOr<Shard> OpenShard(const std::string& path) {
  RETORT_ASSIGN_OR_RETURN(data::SafetensorsFile file, data::SafetensorsFile::Open(path));
  RETORT_RETURN_IF_ERROR(file.VerifyOwn());
  Shard shard{std::move(file), {}, 0, {}, {}};
  const std::map<std::string, std::string>& metadata = shard.file.metadata();
  const auto text = [&metadata](const char* key) {
    const auto found = metadata.find(key);
    return found == metadata.end() ? std::string() : found->second;
  };
  if (text(kVersion) != kVersionText) {
    return absl::DataLossError(
        absl::StrCat(path, " is no shard of targets of version ", kVersionText, "; make the targets anew"));
  }
  shard.contents = text(kContents);
  shard.place.identity = text(kIdentity);
  bool sound = absl::SimpleAtoi(text(kView), &shard.place.view) && absl::SimpleAtoi(text(kFirst), &shard.place.first) &&
               absl::SimpleAtoi(text(kCount), &shard.place.count) && absl::SimpleAtoi(text(kClasses), &shard.classes) &&
               absl::SimpleAtoi(text(kCorrect), &shard.facts.correct) &&
               absl::SimpleAtoi(text(kSampledImages), &shard.facts.sampled) &&
               absl::SimpleAtod(text(kKl1), &shard.facts.kl_1) && absl::SimpleAtod(text(kKl4), &shard.facts.kl_4);
  for (const auto& [key, value] : metadata) {
    absl::string_view name = key;
    if (absl::ConsumePrefix(&name, kError)) sound &= absl::SimpleAtod(value, &shard.facts.error[std::string(name)]);
  }
  if (!sound || shard.place.count < 1 || shard.classes < 1) {
    return absl::DataLossError(absl::StrCat(path, " does not say what it holds; make the targets anew"));
  }
  return shard;
}

absl::Status CheckPlace(const Shard& shard, const ShardPlace& place) {
  const ShardPlace& is = shard.place;
  if (is.identity == place.identity && is.view == place.view && is.first == place.first && is.count == place.count) {
    return absl::OkStatus();
  }
  return absl::DataLossError(absl::StrCat(shard.file.path(), " holds ", Describe(is), ", and should hold ",
                                          Describe(place), "; make the targets anew"));
}

absl::StatusOr<at::ScalarType> ScalarTypeOf(const data::TensorView& view, const std::string& path) {
  switch (view.dtype) {
    case data::DType::kF32:
      return at::kFloat;
    case data::DType::kF16:
      return at::kHalf;
    case data::DType::kBF16:
      return at::kBFloat16;
    case data::DType::kU8:
      return at::kByte;
    case data::DType::kI16:
      return at::kShort;
    case data::DType::kI32:
      return at::kInt;
    default:
      return absl::DataLossError(absl::StrCat(path, ": ", view.name, " is of type ", data::DTypeName(view.dtype),
                                              ", which no target has; make the targets anew"));
  }
}

absl::Status OtherTargets(const std::string& path) {
  return absl::DataLossError(absl::StrCat(path, " holds other targets than the first shard; make the targets anew"));
}

// InvalidArgument or OutOfRange unless `positions` is contiguous i64 [R], each in [0, limit).
absl::Status CheckPositions(absl::string_view what, const at::Tensor& positions, int64_t limit) {
  if (positions.scalar_type() != at::kLong || positions.dim() != 1 || !positions.is_contiguous()) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " must be a contiguous i64 vector; its shape is ", Shape(positions.sizes())));
  }
  for (const int64_t position : absl::MakeConstSpan(positions.const_data_ptr<int64_t>(), positions.numel())) {
    if (position < 0 || position >= limit) {
      return absl::OutOfRangeError(absl::StrCat(what, " ", position, " is outside the target cache, which has 0 to ",
                                                limit - 1, "; were the targets made for this data set?"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

TargetShardBuilder::TargetShardBuilder(const config::StoredTargets& contents, const ShardPlace& place)
    : contents_(contents), place_(place) {}

absl::Status TargetShardBuilder::CheckRows(const std::map<std::string, at::Tensor>& rows) const {
  for (const auto& [name, tensor] : rows) {
    const auto before = tables_.find(name);
    if (before == tables_.end() || before->second.sizes().slice(1) == tensor.sizes().slice(1)) continue;
    return absl::InvalidArgumentError(absl::StrCat("the teacher's ", name, " of an image is ",
                                                   Shape(tensor.sizes().slice(1)), ", and was ",
                                                   Shape(before->second.sizes().slice(1)), " before"));
  }
  return absl::OkStatus();
}

absl::Status TargetShardBuilder::Append(const Targets& targets, const at::Tensor& labels) {
  const int64_t batch = labels.numel();
  if (!targets.logits.defined() || targets.logits.dim() != 2 || targets.logits.size(0) != batch) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the teacher's logits of ", batch, " images are ",
        targets.logits.defined() ? Shape(targets.logits.sizes()) : std::string("missing"), "; they must be [B,K]"));
  }
  if (done_ + batch > place_.count) {
    return absl::OutOfRangeError(
        absl::StrCat(done_ + batch, " images are more than the ", place_.count, " of a shard"));
  }
  RETORT_ASSIGN_OR_RETURN(const auto rows, Encode(contents_, targets));
  RETORT_RETURN_IF_ERROR(CheckRows(rows));

  for (const auto& [name, tensor] : rows) {
    if (tensor.size(0) == batch) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("the teacher's ", name, " is ", Shape(tensor.sizes()), " of ", batch, " images"));
  }
  Sample(targets, rows, std::min(batch, kSampled - facts_.sampled));
  facts_.correct += targets.logits.argmax(1).eq(labels).sum().item<int64_t>();
  classes_ = targets.logits.size(1);
  for (const auto& [name, tensor] : rows) {
    at::Tensor& table = tables_[name];
    if (!table.defined()) {
      std::vector<int64_t> shape = tensor.sizes().vec();
      shape[0] = place_.count;
      table = at::empty(shape, tensor.scalar_type());
    }
    table.narrow(0, done_, batch).copy_(tensor);
  }
  done_ += batch;
  return absl::OkStatus();
}

void TargetShardBuilder::Sample(const Targets& targets, const std::map<std::string, at::Tensor>& rows, int64_t count) {
  if (count <= 0) return;
  Targets exact = targets;
  Targets stored = Decode(contents_, RequestFor(contents_), targets.logits.size(1),
                          [&](const std::string& name) { return rows.at(name).narrow(0, 0, count); });
  for (const std::string& name : TargetNames(RequestFor(contents_))) {
    const at::Tensor right = TargetOf(exact, name).narrow(0, 0, count), read = TargetOf(stored, name);
    if (name == "logits") {
      AddEach(Kl(right, read, 1), &facts_.kl_1);
      AddEach(Kl(right, read, 4), &facts_.kl_4);
    } else {
      AddEach(RelativeError(right, read), &facts_.error[name]);
    }
  }
  facts_.sampled += count;
}

absl::Status TargetShardBuilder::Write(const std::string& path) const {
  if (done_ != place_.count) {
    return absl::FailedPreconditionError(absl::StrCat("only ", done_, " of the ", place_.count, " images of ",
                                                      Describe(place_), " are there; nothing is written to ", path));
  }
  std::vector<nn::NamedTensor> tensors;
  for (const auto& [name, table] : tables_) tensors.emplace_back(name, table);
  const auto number = [](double value) { return absl::StrFormat("%.17g", value); };
  std::map<std::string, std::string> metadata = {{kVersion, kVersionText},
                                                 {kIdentity, place_.identity},
                                                 {kView, absl::StrCat(place_.view)},
                                                 {kFirst, absl::StrCat(place_.first)},
                                                 {kCount, absl::StrCat(place_.count)},
                                                 {kClasses, absl::StrCat(classes_)},
                                                 {kContents, contents_.ShortDebugString()},
                                                 {kCorrect, absl::StrCat(facts_.correct)},
                                                 {kSampledImages, absl::StrCat(facts_.sampled)},
                                                 {kKl1, number(facts_.kl_1)},
                                                 {kKl4, number(facts_.kl_4)}};
  for (const auto& [name, error] : facts_.error) metadata[kError + name] = number(error);
  return nn::SaveTensors(path, tensors, metadata);
}

absl::StatusOr<ShardFacts> CheckShard(const std::string& path, const ShardPlace& place) {
  RETORT_ASSIGN_OR_RETURN(const Shard shard, OpenShard(path));
  RETORT_RETURN_IF_ERROR(CheckPlace(shard, place));
  return shard.facts;
}

absl::StatusOr<TargetCache> TargetCache::Open(absl::Span<const View> views, absl::optional<int64_t> memory) {
  if (views.empty() || views[0].shards.empty())
    return absl::InvalidArgumentError("a target cache has one shard at least");
  std::vector<std::vector<Shard>> opened(views.size());
  for (size_t v = 0; v < views.size(); ++v) {
    if (views[v].shards.size() != views[0].shards.size()) {
      return absl::InvalidArgumentError(absl::StrCat("view ", v, " has ", views[v].shards.size(), " shards, view 0 ",
                                                     views[0].shards.size(), "; were they made for one data set?"));
    }
    for (const std::string& path : views[v].shards) {
      RETORT_ASSIGN_OR_RETURN(Shard shard, OpenShard(path));
      opened[v].push_back(std::move(shard));
    }
  }
  const Shard &first = opened[0].front(), &last = opened[0].back();
  TargetCache cache;
  cache.views_ = static_cast<int64_t>(views.size());
  cache.shards_ = static_cast<int64_t>(opened[0].size());
  cache.shard_size_ = first.place.count;
  cache.samples_ = last.place.first + last.place.count;
  cache.classes_ = first.classes;
  if (!google::protobuf::TextFormat::ParseFromString(first.contents, &cache.contents_)) {
    return absl::DataLossError(absl::StrCat(first.file.path(), " does not say what it holds; make the targets anew"));
  }
  for (size_t v = 0; v < views.size(); ++v) {
    for (int64_t s = 0; s < cache.shards_; ++s) {
      const Shard& shard = opened[v][static_cast<size_t>(s)];
      const int64_t from = s * cache.shard_size_;
      RETORT_RETURN_IF_ERROR(CheckPlace(
          shard, {views[v].identity, views[v].number, from, std::min(cache.shard_size_, cache.samples_ - from)}));
      if (shard.contents != first.contents || shard.classes != first.classes) return OtherTargets(shard.file.path());
      RETORT_RETURN_IF_ERROR(cache.Add(shard.file, shard.place.count));
    }
  }
  int64_t bytes = 0;
  for (const auto& file : cache.storage_) bytes += static_cast<int64_t>(file->bytes().size());
  cache.beyond_memory_ = bytes > memory.value_or(int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE) / 2);
  return cache;
}

absl::Status TargetCache::Add(const data::SafetensorsFile& file, int64_t count) {
  const std::string& path = file.path();
  const bool is_first = storage_.empty();
  if (!is_first && file.tensors().size() != tables_.size()) return OtherTargets(path);
  for (const data::TensorView& view : file.tensors()) {
    RETORT_ASSIGN_OR_RETURN(const at::ScalarType type, ScalarTypeOf(view, path));
    if (view.shape.empty() || view.shape[0] != count) return OtherTargets(path);
    const std::vector<int64_t> shape(view.shape.begin() + 1, view.shape.end());
    if (is_first) {
      tables_[view.name] = {type, shape, static_cast<int64_t>(view.bytes.size()) / count, {}};
    }
    const auto table = tables_.find(view.name);
    if (table == tables_.end() || table->second.type != type || table->second.shape != shape) return OtherTargets(path);
    table->second.parts.push_back(view.bytes.data());
  }
  // The tensors that the contents promise are there: Gather relies on them.
  if (is_first) {
    for (const std::string& name : TargetNames(RequestFor(contents_))) {
      const auto there = [this](const std::string& table) { return tables_.count(table) > 0; };
      const bool top_k = name == "logits" && contents_.top_k() > 0;
      if (!there(name) || (top_k && !(there("logits.index") && there("logits.log_sum_exp"))) ||
          (tables_[name].type == at::kByte && !there(name + ".affine"))) {
        return absl::DataLossError(absl::StrCat(path, " lacks a part of ", name, "; make the targets anew"));
      }
    }
  }
  storage_.push_back(file.storage());
  return absl::OkStatus();
}

const uint8_t* TargetCache::Row(const Table& table, int64_t view, int64_t index) const {
  const int64_t shard = index / shard_size_;
  return table.parts[static_cast<size_t>(view * shards_ + shard)] + (index - shard * shard_size_) * table.row_bytes;
}

at::Tensor TargetCache::Rows(const Table& table, const at::Tensor& view, const at::Tensor& index) const {
  std::vector<int64_t> shape = {index.numel()};
  shape.insert(shape.end(), table.shape.begin(), table.shape.end());
  const at::Tensor rows = at::empty(shape, table.type);
  auto* to = static_cast<uint8_t*>(rows.mutable_data_ptr());
  const int64_t* const views = view.const_data_ptr<int64_t>();
  const int64_t* const images = index.const_data_ptr<int64_t>();
  for (int64_t r = 0; r < index.numel(); ++r, to += table.row_bytes) {
    std::memcpy(to, Row(table, views[r], images[r]), static_cast<size_t>(table.row_bytes));
  }
  return rows;
}

absl::StatusOr<Targets> TargetCache::Gather(const at::Tensor& view, const at::Tensor& index,
                                            const TargetRequest& request) const {
  RETORT_RETURN_IF_ERROR(CheckContents(contents_, request));
  RETORT_RETURN_IF_ERROR(CheckPositions("view", view, views_));
  RETORT_RETURN_IF_ERROR(CheckPositions("image", index, samples_));
  if (view.numel() != index.numel()) {
    return absl::InvalidArgumentError(
        absl::StrCat("target cache: ", view.numel(), " views and ", index.numel(), " images; give as many of each"));
  }
  return Decode(contents_, request, classes_,
                [&](const std::string& name) { return Rows(tables_.at(name), view, index); });
}

void TargetCache::ReadAhead(const at::Tensor& view, const at::Tensor& index) const {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  for (const auto& [name, table] : tables_) {
    for (int64_t r = 0; r < index.numel(); ++r) {
      const auto row = reinterpret_cast<uintptr_t>(
          Row(table, view.const_data_ptr<int64_t>()[r], index.const_data_ptr<int64_t>()[r]));
      const uintptr_t begin = row / page * page;
      madvise(reinterpret_cast<void*>(begin), row + static_cast<uintptr_t>(table.row_bytes) - begin, MADV_WILLNEED);
    }
  }
}

}  // namespace retort::kd
