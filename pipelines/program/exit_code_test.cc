#include "retort/pipelines/program/exit_code.h"

#include <csignal>

#include "gtest/gtest.h"

namespace retort::pipelines {
namespace {

// The numbers are those of BSD's sysexits.h (EX_DATAERR, EX_NOINPUT, EX_SOFTWARE, EX_CANTCREAT, EX_IOERR, EX_TEMPFAIL,
// EX_CONFIG), and 128 + SIGINT as shells have it.
TEST(ExitCode, FollowsSysexits) {
  EXPECT_EQ(ExitCode(absl::OkStatus(), 0), 0);
  EXPECT_EQ(ExitCode(absl::DataLossError(""), 0), 65);
  EXPECT_EQ(ExitCode(absl::NotFoundError(""), 0), 66);
  EXPECT_EQ(ExitCode(absl::InternalError(""), 0), 70);
  EXPECT_EQ(ExitCode(absl::PermissionDeniedError(""), 0), 73);
  EXPECT_EQ(ExitCode(absl::ResourceExhaustedError(""), 0), 74);
  EXPECT_EQ(ExitCode(absl::UnavailableError(""), 0), 75);
  EXPECT_EQ(ExitCode(absl::InvalidArgumentError(""), 0), 78);
  EXPECT_EQ(ExitCode(absl::CancelledError(""), SIGTERM), 75);
  EXPECT_EQ(ExitCode(absl::CancelledError(""), SIGINT), 130);
}

}  // namespace
}  // namespace retort::pipelines
