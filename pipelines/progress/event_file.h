// Curves for TensorBoard.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

#include "retort/pipelines/progress/event.pb.h"

namespace retort::pipelines {

// A file of one session of a training, which TensorBoard shows with those of earlier sessions in the same folder as one
// run:
//
//   RETORT_ASSIGN_OR_RETURN(auto events, EventFile::Create(folder, first_step));
//   RETORT_RETURN_IF_ERROR(events->AddScalars(step, seconds, {{"train/loss", loss}}));
//
// The file begins with the session's start at `first_step`: of earlier files TensorBoard then drops what they say of
// that step and later ones, so that a training which goes on from a checkpoint has no point twice. Every record is
// written by one call. A killed process leaves a torn record at the end at worst, which readers wait for; nothing is
// ever appended to a file of another session.
//
// A record is its length (u64, little-endian), the length's check sum, the bytes of an Event, their check sum. A check
// sum is Crc32c, rotated right by 15 bits, plus 0xA282EAD8. Source: tensorflow/tensorboard,
// tensorboard/summary/writer/record_writer.py.
class EventFile {
 public:
  // Makes the folder if need be, and in it "events.out.tfevents.<number>.retort", the number being the seconds since
  // 1970, or more where a file has that already: readers take files in order of their names. Errors as in
  // data/io/file.h. InvalidArgument for a negative step.
  static absl::StatusOr<std::unique_ptr<EventFile>> Create(const std::string& folder, int64_t first_step);
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  const std::string& path() const { return path_; }

  // One point of each curve; `wall_time` in seconds since 1970. InvalidArgument for an empty tag and a negative step;
  // ResourceExhausted where the disk is full. After an error of the disk the file may end in a torn record: it takes no
  // more, and every later call returns that error.
  absl::Status AddScalars(int64_t step, double wall_time,
                          absl::Span<const std::pair<absl::string_view, double>> scalars);

 private:
  EventFile(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}

  absl::Status Write(const config::Event& event);

  std::string path_;
  int descriptor_;
  absl::Status status_;  // of the disk
};

}  // namespace retort::pipelines
