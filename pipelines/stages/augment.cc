#include "retort/pipelines/stages/augment.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"

#include "retort/data/io/file.h"
#include "retort/data/io/status_macros.h"
#include "retort/data/views/view_plan.h"
#include "retort/pipelines/payload/payload.pb.h"
#include "retort/pipelines/stages/seed.h"

namespace retort::pipelines {

absl::StatusOr<StageOutput> RunAugment(const StageContext& context) {
  const config::Augment& augment = context.stage->augment();
  config::ViewSet views;
  views.set_seed(DeriveSeed(context.seed, "views"));
  *views.mutable_step() = augment.step();
  // A plan that cannot be made would fail every reader.
  RETORT_RETURN_IF_ERROR(data::ViewPlan::Create(views.step(), views.seed()).status());
  std::string text;
  google::protobuf::TextFormat::PrintToString(views, &text);
  RETORT_RETURN_IF_ERROR(data::WriteFileAtomically(absl::StrCat(context.work_dir, "/views.textproto"), text));
  StageOutput output;
  output.files = {"views.textproto"};
  return output;
}

}  // namespace retort::pipelines
