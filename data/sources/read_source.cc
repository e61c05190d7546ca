#include "retort/data/sources/read_source.h"

#include "retort/data/sources/cifar.h"
#include "retort/data/sources/procedural.h"

namespace retort::data {

absl::StatusOr<DatasetSplits> ReadSource(const config::Ingest& ingest, const std::string& data_dir) {
  switch (ingest.source_case()) {
    case config::Ingest::kCifar10:
      return ReadCifar10(data_dir);
    case config::Ingest::kCifar100:
      return ReadCifar100(data_dir, ingest.cifar100().fine());
    case config::Ingest::kProcedural:
      return MakeProcedural(ingest.procedural());
    case config::Ingest::SOURCE_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("ingest: no source is chosen; permitted: cifar10, cifar100, procedural");
}

absl::StatusOr<std::string> SourceDigest(const config::Ingest& ingest, const std::string& data_dir) {
  switch (ingest.source_case()) {
    case config::Ingest::kCifar10:
      return CifarSourceDigest(data_dir, Cifar::k10);
    case config::Ingest::kCifar100:
      return CifarSourceDigest(data_dir, ingest.cifar100().fine() ? Cifar::k100Fine : Cifar::k100Coarse);
    case config::Ingest::kProcedural:
    case config::Ingest::SOURCE_NOT_SET:
      break;
  }
  return std::string();
}

}  // namespace retort::data
