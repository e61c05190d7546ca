#include "retort/pipelines/data_source.h"

#include "retort/data/cifar.h"
#include "retort/data/procedural.h"

namespace retort::pipelines {

absl::StatusOr<data::DatasetSplits> ReadSource(const config::Ingest& ingest, const std::string& data_dir) {
  switch (ingest.source_case()) {
    case config::Ingest::kCifar10:
      return data::ReadCifar10(data_dir);
    case config::Ingest::kCifar100:
      return data::ReadCifar100(data_dir, ingest.cifar100().fine());
    case config::Ingest::kProcedural:
      return data::MakeProcedural(ingest.procedural());
    case config::Ingest::SOURCE_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("ingest: no source is chosen; permitted: cifar10, cifar100, procedural");
}

absl::StatusOr<std::string> SourceDigest(const config::Ingest& ingest, const std::string& data_dir) {
  switch (ingest.source_case()) {
    case config::Ingest::kCifar10:
      return data::CifarSourceDigest(data_dir, data::Cifar::k10);
    case config::Ingest::kCifar100:
      return data::CifarSourceDigest(data_dir,
                                     ingest.cifar100().fine() ? data::Cifar::k100Fine : data::Cifar::k100Coarse);
    case config::Ingest::kProcedural:
    case config::Ingest::SOURCE_NOT_SET:
      break;
  }
  return std::string();
}

}  // namespace retort::pipelines
