// CIFAR-10 and CIFAR-100 (Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009) in the official
// binary layout, https://www.cs.toronto.edu/~kriz/cifar.html: records of 1 (CIFAR-10) or 2 (CIFAR-100: coarse, fine)
// label bytes and 3072 pixel bytes, which are three 32x32 planes, red, green, blue.
//
// Found in `data_dir`, in this order:
//   cifar-10-batches-bin/   data_batch_1.bin .. data_batch_5.bin, test_batch.bin, batches.meta.txt
//   cifar-10-binary.tar.gz  the official archive, read in place
//   cifar-100-binary/       train.bin, test.bin, fine_label_names.txt, coarse_label_names.txt
//   cifar-100-binary.tar.gz
// The files of class names may be missing; then the official names are used.
//
// Errors: NotFound says what is accepted and how to fetch it; DataLoss names the file and what is wrong: a size that is
// not the official one, a label out of range, a damaged archive.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "retort/data/dataset.h"

namespace retort::data {

enum class Cifar { k10, k100Fine, k100Coarse };

// 50,000 training and 10,000 test images, u8 [N,32,32,3]; named "cifar10", "cifar100", "cifar100_coarse".
absl::StatusOr<DatasetSplits> ReadCifar10(const std::string& data_dir);
// 100 fine classes, or the 20 coarse ones.
absl::StatusOr<DatasetSplits> ReadCifar100(const std::string& data_dir, bool fine);

// SHA-256 over everything that the result of reading depends on: records and class names. The same for the folder and
// the archive, so a data set keeps its identity when it is unpacked.
absl::StatusOr<std::string> CifarSourceDigest(const std::string& data_dir, Cifar which);

// Appends the images (as rows of RGB pixels) and labels of `records`, any whole number of them. `name` is for errors.
absl::Status AppendCifarRecords(absl::string_view records, Cifar which, absl::string_view name,
                                std::vector<uint8_t>* images, std::vector<int64_t>* labels);

}  // namespace retort::data
