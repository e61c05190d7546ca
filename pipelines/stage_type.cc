#include "retort/pipelines/stage_type.h"

#include "retort/pipelines/stages/augment.h"
#include "retort/pipelines/stages/cache_logits.h"
#include "retort/pipelines/stages/distill.h"
#include "retort/pipelines/stages/evaluate.h"
#include "retort/pipelines/stages/export.h"
#include "retort/pipelines/stages/finetune.h"
#include "retort/pipelines/stages/ingest.h"
#include "retort/pipelines/stages/report.h"

namespace retort::pipelines {

StageType TypeOf(config::Stage::KindCase kind) {
  switch (kind) {
    case config::Stage::kIngest:
      return {.version = 1, .seeded = false, .numeric = false, .shared = false, .run = RunIngest};
    case config::Stage::kFinetune:
      return {.version = 3, .seeded = true, .numeric = true, .shared = false, .run = RunFinetune};
    case config::Stage::kAugment:
      return {.version = 1, .seeded = true, .numeric = false, .shared = false, .run = RunAugment};
    case config::Stage::kCacheLogits:
      return {.version = 2, .seeded = false, .numeric = true, .shared = true, .run = RunCacheLogits};
    case config::Stage::kDistill:
      return {.version = 4, .seeded = true, .numeric = true, .shared = false, .run = RunDistill};
    case config::Stage::kEvaluate:
      return {.version = 2, .seeded = false, .numeric = true, .shared = false, .run = RunEvaluate};
    case config::Stage::kReport:
      return {.version = 6, .seeded = false, .numeric = false, .shared = false, .run = RunReport};
    case config::Stage::kExport:
      return {.version = 2, .seeded = false, .numeric = false, .shared = false, .run = RunExport};
    case config::Stage::KIND_NOT_SET:
      break;
  }
  return {.version = 0, .seeded = false, .numeric = false, .shared = false, .run = nullptr};
}

}  // namespace retort::pipelines
