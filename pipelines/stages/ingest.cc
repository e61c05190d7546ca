#include "retort/pipelines/stages/ingest.h"

#include "absl/strings/str_cat.h"

#include "retort/data/dataset.h"
#include "retort/data/io/status_macros.h"
#include "retort/data/sources/read_source.h"

namespace retort::pipelines {

absl::StatusOr<StageOutput> RunIngest(const StageContext& context) {
  RETORT_ASSIGN_OR_RETURN(const data::DatasetSplits splits,
                          data::ReadSource(context.stage->ingest(), context.data_dir));
  RETORT_RETURN_IF_ERROR(data::WriteDataset(absl::StrCat(context.work_dir, "/dataset.safetensors"), splits));
  StageOutput output;
  output.files = {"dataset.safetensors"};
  output.metrics = {{"train_images", static_cast<double>(splits.train.size)},
                    {"test_images", static_cast<double>(splits.test.size)},
                    {"classes", static_cast<double>(splits.train.class_names.size())}};
  return output;
}

}  // namespace retort::pipelines
