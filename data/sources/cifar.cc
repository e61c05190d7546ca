#include "retort/data/sources/cifar.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

#include "retort/data/io/file.h"
#include "retort/data/io/sha256.h"
#include "retort/data/io/status_macros.h"

namespace retort::data {
namespace {

constexpr int64_t kSide = 32;
constexpr int64_t kPlane = kSide * kSide;
constexpr int64_t kPixels = 3 * kPlane;
// Class names are a few hundred bytes.
constexpr int64_t kLargestNamesFile = 64 * 1024;
// The archives hold 180 MB and a page of HTML.
constexpr int64_t kLargestArchiveContent = 256 * 1024 * 1024;
constexpr int64_t kTarHeader = 512;

// A file of records and how many it must hold.
struct RecordsFile {
  absl::string_view name;
  int64_t records;
};

// One of the two published sets of files.
struct Source {
  absl::string_view dataset;  // as tools/fetch names it
  absl::string_view folder;
  absl::string_view archive;
  std::vector<int> label_limits;  // one for each label byte
  std::vector<RecordsFile> train;
  RecordsFile test;

  int64_t RecordBytes() const { return static_cast<int64_t>(label_limits.size()) + kPixels; }
};

// What distinguishes the three readings of the sources.
struct Reading {
  const Source& source;
  size_t label;  // index of the label byte
  absl::string_view name;
  absl::string_view names_file;
  absl::string_view official_names;
};

const Source& Source10() {
  static const auto& source = *new Source{"cifar10",
                                          "cifar-10-batches-bin",
                                          "cifar-10-binary.tar.gz",
                                          {10},
                                          {{"data_batch_1.bin", 10000},
                                           {"data_batch_2.bin", 10000},
                                           {"data_batch_3.bin", 10000},
                                           {"data_batch_4.bin", 10000},
                                           {"data_batch_5.bin", 10000}},
                                          {"test_batch.bin", 10000}};
  return source;
}

const Source& Source100() {
  static const auto& source = *new Source{"cifar100", "cifar-100-binary",     "cifar-100-binary.tar.gz",
                                          {20, 100},  {{"train.bin", 50000}}, {"test.bin", 10000}};
  return source;
}

Reading ReadingOf(Cifar which) {
  switch (which) {
    case Cifar::k10:
      return {Source10(), 0, "cifar10", "batches.meta.txt",
              "airplane automobile bird cat deer dog frog horse ship truck"};
    case Cifar::k100Fine:
      return {
          Source100(), 1, "cifar100", "fine_label_names.txt",
          "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can "
          "castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin "
          "elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard "
          "lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear "
          "pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal "
          "shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank "
          "telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm"};
    case Cifar::k100Coarse:
      return {
          Source100(), 0, "cifar100_coarse", "coarse_label_names.txt",
          "aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices "
          "household_furniture insects large_carnivores large_man-made_outdoor_things large_natural_outdoor_scenes "
          "large_omnivores_and_herbivores medium_mammals non-insect_invertebrates people reptiles small_mammals trees "
          "vehicles_1 vehicles_2"};
  }
  __builtin_unreachable();
}

// Bytes by file name.
using Files = std::map<std::string, std::string, std::less<>>;

// The size that the file `name` must have, 0 for a file of class names; none for a file that is not used.
std::optional<int64_t> ExpectedSize(const Reading& reading, absl::string_view name) {
  if (name == reading.names_file) return 0;
  const Source& source = reading.source;
  if (name == source.test.name) return source.test.records * source.RecordBytes();
  for (const RecordsFile& file : source.train) {
    if (name == file.name) return file.records * source.RecordBytes();
  }
  return std::nullopt;
}

absl::Status CheckSize(const Reading& reading, absl::string_view name, absl::string_view path, int64_t size) {
  const int64_t expected = *ExpectedSize(reading, name);
  if (expected != 0 && size != expected) {
    return absl::DataLossError(absl::StrCat(path, " has ", size, " bytes, but the official file has ", expected,
                                            "; remove it and fetch the data set again"));
  }
  if (expected == 0 && size > kLargestNamesFile) {
    return absl::DataLossError(absl::StrCat(path, " has ", size, " bytes, too many for class names"));
  }
  return absl::OkStatus();
}

absl::Status Missing(const Source& source, const std::string& data_dir, absl::string_view what) {
  return absl::NotFoundError(absl::StrCat(
      what, ": folder ", data_dir, " must hold ", source.folder, "/ (the official binary files) or ", source.archive,
      "; to fetch it: ./bazelw run //tools:fetch -- --dataset=", source.dataset, " --data_dir=", data_dir));
}

absl::StatusOr<Files> ReadFolder(const Reading& reading, const std::string& data_dir) {
  const Source& source = reading.source;
  std::vector<std::string> names = {std::string(reading.names_file), std::string(source.test.name)};
  for (const RecordsFile& file : source.train) names.emplace_back(file.name);
  Files files;
  for (const std::string& name : names) {
    const std::string path = absl::StrCat(data_dir, "/", source.folder, "/", name);
    struct stat info;
    if (stat(path.c_str(), &info) != 0) {
      if (name == reading.names_file) continue;
      return Missing(source, data_dir, absl::StrCat(path, " is missing"));
    }
    RETORT_RETURN_IF_ERROR(CheckSize(reading, name, path, info.st_size));
    RETORT_ASSIGN_OR_RETURN(files[name], ReadFile(path));
    RETORT_RETURN_IF_ERROR(CheckSize(reading, name, path, static_cast<int64_t>(files[name].size())));
  }
  return files;
}

// Nothing is unpacked to disk; entries are only compared with the names that are wanted, so a path in them means
// nothing.
absl::StatusOr<Files> ReadArchive(const Reading& reading, const std::string& path) {
  const std::unique_ptr<archive, decltype(&archive_read_free)> reader(archive_read_new(), &archive_read_free);
  const auto damaged = [&path](const auto&... what) {
    return absl::DataLossError(absl::StrCat(path, " is not the official archive: ", what...));
  };
  const auto libarchive_fault = [&] {
    const char* const text = archive_error_string(reader.get());
    return damaged(text == nullptr ? "it cannot be read" : text);
  };
  archive_read_support_filter_gzip(reader.get());
  archive_read_support_format_tar(reader.get());
  if (archive_read_open_filename(reader.get(), path.c_str(), 1 << 16) != ARCHIVE_OK) return libarchive_fault();

  Files files;
  int64_t total = 0;
  archive_entry* entry;
  while (true) {
    const int result = archive_read_next_header(reader.get(), &entry);
    if (result == ARCHIVE_EOF) break;
    if (result < ARCHIVE_WARN) return libarchive_fault();
    const int64_t size = archive_entry_size(entry);
    if (size < 0 || size > kLargestArchiveContent - total - kTarHeader) {
      return damaged("it holds more than ", kLargestArchiveContent, " bytes");
    }
    total += size + kTarHeader;
    const char* const entry_name = archive_entry_pathname(entry);
    absl::string_view name = entry_name == nullptr ? "" : entry_name;
    if (archive_entry_filetype(entry) != AE_IFREG || !absl::ConsumePrefix(&name, reading.source.folder) ||
        !absl::ConsumePrefix(&name, "/") || !ExpectedSize(reading, name).has_value()) {
      continue;
    }
    RETORT_RETURN_IF_ERROR(CheckSize(reading, name, absl::StrCat(path, ": ", entry_name), size));
    const auto [file, is_new] = files.emplace(name, std::string(static_cast<size_t>(size), '\0'));
    if (!is_new) return damaged(entry_name, " is there twice");
    size_t filled = 0;
    while (filled < file->second.size()) {
      const la_ssize_t count =
          archive_read_data(reader.get(), file->second.data() + filled, file->second.size() - filled);
      if (count < 0) return libarchive_fault();
      if (count == 0) return damaged(entry_name, " ends after ", filled, " of ", size, " bytes");
      filled += static_cast<size_t>(count);
    }
  }
  std::vector<RecordsFile> needed = reading.source.train;
  needed.push_back(reading.source.test);
  for (const RecordsFile& file : needed) {
    if (files.find(file.name) == files.end()) return damaged("it lacks ", reading.source.folder, "/", file.name);
  }
  return files;
}

absl::StatusOr<Files> ReadSource(const Reading& reading, const std::string& data_dir) {
  const Source& source = reading.source;
  const std::string folder = absl::StrCat(data_dir, "/", source.folder);
  const std::string archive_path = absl::StrCat(data_dir, "/", source.archive);
  struct stat info;
  if (stat(folder.c_str(), &info) == 0) return ReadFolder(reading, data_dir);
  if (stat(archive_path.c_str(), &info) == 0) return ReadArchive(reading, archive_path);
  return Missing(source, data_dir, absl::StrCat("no ", source.dataset));
}

absl::StatusOr<std::vector<std::string>> ClassNames(const Reading& reading, const Files& files) {
  std::vector<std::string> official = absl::StrSplit(reading.official_names, ' ');
  const auto file = files.find(reading.names_file);
  if (file == files.end()) return official;
  std::vector<std::string> names;
  for (const absl::string_view line : absl::StrSplit(file->second, '\n')) {
    const absl::string_view name = absl::StripAsciiWhitespace(line);
    if (!name.empty()) names.emplace_back(name);
  }
  if (names.size() != official.size()) {
    return absl::DataLossError(absl::StrCat(reading.names_file, " names ", names.size(), " classes, but ",
                                            reading.source.dataset, " has ", official.size(),
                                            "; remove it, or fetch the data set again"));
  }
  return names;
}

absl::StatusOr<Dataset> ReadSplit(const std::vector<RecordsFile>& parts, Cifar which, const Files& files,
                                  const std::vector<std::string>& class_names) {
  std::vector<uint8_t> images;
  std::vector<int64_t> labels;
  for (const RecordsFile& part : parts) {
    RETORT_RETURN_IF_ERROR(AppendCifarRecords(files.find(part.name)->second, which, part.name, &images, &labels));
  }
  return MakeDataset(std::move(images), std::move(labels), kSide, kSide, 3, class_names);
}

absl::StatusOr<DatasetSplits> Read(const std::string& data_dir, Cifar which) {
  const Reading reading = ReadingOf(which);
  RETORT_ASSIGN_OR_RETURN(const Files files, ReadSource(reading, data_dir));
  RETORT_ASSIGN_OR_RETURN(const std::vector<std::string> class_names, ClassNames(reading, files));
  DatasetSplits splits;
  splits.name = std::string(reading.name);
  RETORT_ASSIGN_OR_RETURN(splits.train, ReadSplit(reading.source.train, which, files, class_names));
  RETORT_ASSIGN_OR_RETURN(splits.test, ReadSplit({reading.source.test}, which, files, class_names));
  return splits;
}

}  // namespace

absl::Status AppendCifarRecords(absl::string_view records, Cifar which, absl::string_view name,
                                std::vector<uint8_t>* images, std::vector<int64_t>* labels) {
  const Reading reading = ReadingOf(which);
  const std::vector<int>& limits = reading.source.label_limits;
  const size_t record_bytes = static_cast<size_t>(reading.source.RecordBytes());
  if (records.size() % record_bytes != 0) {
    return absl::DataLossError(
        absl::StrCat(name, " has ", records.size(), " bytes, which is no whole number of records of ", record_bytes));
  }
  const size_t count = records.size() / record_bytes;
  auto pixel = images->insert(images->end(), count * kPixels, 0);
  for (size_t i = 0; i < count; ++i) {
    const char* const record = records.data() + i * record_bytes;
    for (size_t l = 0; l < limits.size(); ++l) {
      const int label = static_cast<uint8_t>(record[l]);
      if (label >= limits[l]) {
        return absl::DataLossError(absl::StrCat(name, ": record ", i, " has label ", label, ", not in [0, ", limits[l],
                                                "); remove the file and fetch the data set again"));
      }
    }
    labels->push_back(static_cast<uint8_t>(record[reading.label]));
    const char* const planes = record + limits.size();
    for (int64_t p = 0; p < kPlane; ++p) {
      for (int64_t c = 0; c < 3; ++c) *pixel++ = static_cast<uint8_t>(planes[c * kPlane + p]);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<DatasetSplits> ReadCifar10(const std::string& data_dir) { return Read(data_dir, Cifar::k10); }

absl::StatusOr<DatasetSplits> ReadCifar100(const std::string& data_dir, bool fine) {
  return Read(data_dir, fine ? Cifar::k100Fine : Cifar::k100Coarse);
}

absl::StatusOr<std::string> CifarSourceDigest(const std::string& data_dir, Cifar which) {
  const Reading reading = ReadingOf(which);
  RETORT_ASSIGN_OR_RETURN(Files files, ReadSource(reading, data_dir));
  RETORT_ASSIGN_OR_RETURN(const std::vector<std::string> class_names, ClassNames(reading, files));
  files[std::string(reading.names_file)] = absl::StrJoin(class_names, "\n");
  Sha256 hash;
  for (const auto& [name, bytes] : files) {
    hash.Update(absl::StrCat(name, "\n", bytes.size(), "\n"));
    hash.Update(bytes);
  }
  return hash.HexDigest();
}

}  // namespace retort::data
