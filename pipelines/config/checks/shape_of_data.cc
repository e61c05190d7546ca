#include "retort/pipelines/config/checks/shape_of_data.h"

namespace retort::pipelines {
namespace {

absl::optional<nn::ModelShape> ShapeOf(const config::Ingest& ingest) {
  switch (ingest.source_case()) {
    case config::Ingest::kCifar10:
    case config::Ingest::kProcedural:
      return nn::ModelShape{3, 32, 32, 10};
    case config::Ingest::kCifar100:
      return nn::ModelShape{3, 32, 32, ingest.cifar100().fine() ? 100 : 20};
    case config::Ingest::SOURCE_NOT_SET:
      break;
  }
  return absl::nullopt;
}

// The stage that a stage's images come from; empty where it has none.
absl::string_view Source(const config::Stage& stage) {
  switch (stage.kind_case()) {
    case config::Stage::kFinetune:
      return stage.finetune().data();
    case config::Stage::kAugment:
      return stage.augment().data();
    case config::Stage::kCacheLogits:
      return stage.cache_logits().has_views() ? stage.cache_logits().views() : stage.cache_logits().data();
    case config::Stage::kDistill:
      return stage.distill().has_targets() ? stage.distill().targets() : stage.distill().data();
    case config::Stage::kEvaluate:
      return stage.evaluate().data();
    case config::Stage::kIngest:
    case config::Stage::kExport:
    case config::Stage::kReport:
    case config::Stage::KIND_NOT_SET:
      break;
  }
  return "";
}

}  // namespace

const config::Stage* IngestBehind(const config::Pipeline& pipeline, absl::string_view name) {
  // References go backwards.
  for (int i = pipeline.stage_size() - 1; i >= 0; --i) {
    const config::Stage& stage = pipeline.stage(i);
    if (stage.name() != name) continue;
    if (stage.has_ingest()) return &stage;
    name = Source(stage);
  }
  return nullptr;
}

absl::optional<nn::ModelShape> ShapeOfData(const config::Pipeline& pipeline, absl::string_view name) {
  const config::Stage* const stage = IngestBehind(pipeline, name);
  return stage == nullptr ? absl::nullopt : ShapeOf(stage->ingest());
}

}  // namespace retort::pipelines
