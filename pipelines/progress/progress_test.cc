#include "retort/pipelines/progress/progress.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace retort::pipelines {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// A clock that is set by hand and a screen that remembers every write.
class ProgressTest : public ::testing::Test {
 protected:
  ProgressOutput Output(int columns) {
    ProgressOutput output;
    output.clock = [this] { return now_; };
    output.write = [this](absl::string_view text) { written_.emplace_back(text); };
    output.columns = [columns] { return columns; };
    return output;
  }

  absl::Duration now_ = absl::Seconds(1000);
  std::vector<std::string> written_;
};

TEST_F(ProgressTest, WritesTheFirstLineAtOnceAndThenOnePerPeriod) {
  Progress progress("teacher", 1000, "images", 5, Output(0));
  progress.Update(0, "");
  EXPECT_THAT(written_, ElementsAre("teacher: 0 of 1,000 images (0 %)\n"));
  for (int second = 1; second <= 10; ++second) {
    now_ += absl::Seconds(1);
    progress.Update(20 * second, "epoch 1/2");
  }
  EXPECT_THAT(written_, ElementsAre("teacher: 0 of 1,000 images (0 %)\n",
                                    "teacher: 100 of 1,000 images (10 %), 20 images/s, 45 s left, epoch 1/2\n",
                                    "teacher: 200 of 1,000 images (20 %), 20 images/s, 40 s left, epoch 1/2\n"));
}

TEST_F(ProgressTest, CountsOnlyThisSessionInTheRate) {
  Progress progress("student", 100000, "images", 5, Output(0));
  progress.Update(90000, "");
  now_ += absl::Seconds(10);
  progress.Update(92000, "");
  // 2,000 images in 10 s, 8,000 to go.
  EXPECT_EQ(written_.back(), "student: 92,000 of 100,000 images (92 %), 200 images/s, 40 s left\n");
}

TEST_F(ProgressTest, RedrawsTheBarTenTimesASecond) {
  Progress progress("student", 1000, "images", 5, Output(200));
  for (int update = 0; update < 100; ++update) {
    progress.Update(update, "");
    now_ += absl::Milliseconds(10);
  }
  EXPECT_THAT(written_, SizeIs(10));
}

TEST_F(ProgressTest, DrawsTheBarInOneRow) {
  Progress progress("s", 48, "images", 5, Output(200));
  progress.Update(0, "");
  now_ += absl::Seconds(2);
  progress.Update(12, "loss 1.5");
  now_ += absl::Seconds(6);
  progress.Update(48, "loss 1.0");
  EXPECT_THAT(written_, ElementsAre("\r\x1b[Ks [>                       ]   0 %",
                                    "\r\x1b[Ks [======>                 ]  25 %  6.0 images/s  6 s left  loss 1.5",
                                    "\r\x1b[Ks [========================] 100 %  6.0 images/s  loss 1.0"));
}

TEST_F(ProgressTest, NeverFillsTheRow) {
  Progress progress("s", 10, "images", 5, Output(20));
  progress.Update(1, "a note that is far too long for the terminal");
  // "s [" and the beginning of the bar: 19 of 20 columns.
  EXPECT_THAT(written_, ElementsAre("\r\x1b[Ks [==>             "));
}

TEST_F(ProgressTest, ClipsAtCharactersAndNotAtBytes) {
  Progress progress("Schüler", 0, "images", 5, Output(6));
  progress.Update(1, "");
  EXPECT_THAT(written_, ElementsAre("\r\x1b[KSchül"));
}

TEST_F(ProgressTest, PutsTheBarAsideForOtherLines) {
  Progress progress("student", 10, "images", 5, Output(80));
  progress.Update(1, "");
  progress.Print("checkpoint written");
  ASSERT_THAT(written_, SizeIs(3));
  EXPECT_EQ(written_[1], "\r\x1b[K");
  EXPECT_EQ(written_[2], "checkpoint written\n");
}

TEST_F(ProgressTest, EndsWithALine) {
  Progress progress("student", 1000, "images", 5, Output(80));
  progress.Update(0, "");
  now_ += absl::Seconds(100);
  progress.Update(1000, "");
  progress.Finish("accuracy 71.2 %");
  EXPECT_THAT(written_.back(), "student: 1 min 40 s, 10 images/s, accuracy 71.2 %\n");
  EXPECT_EQ(written_[written_.size() - 2], "\r\x1b[K");
}

TEST_F(ProgressTest, EndsWithALineWhereNothingWasLeftToDo) {
  Progress progress("student", 1000, "images", 5, Output(0));
  progress.Finish("");
  EXPECT_THAT(written_, ElementsAre("student: done\n"));
}

TEST_F(ProgressTest, LeavesNoBarBehindWhenTheWorkIsCutShort) {
  auto progress = std::make_unique<Progress>("student", 1000, "images", 5, Output(80));
  progress->Update(10, "");
  progress.reset();
  EXPECT_THAT(written_.back(), EndsWith("\r\x1b[K"));
}

TEST_F(ProgressTest, WritesNothingWithoutWork) {
  { Progress progress("student", 1000, "images", 5, Output(80)); }
  EXPECT_THAT(written_, IsEmpty());
}

TEST_F(ProgressTest, ShowsNeitherShareNorTimeLeftWhereTheTotalIsUnknown) {
  Progress progress("ingest", 0, "bytes", 5, Output(0));
  progress.Update(0, "");
  now_ += absl::Seconds(5);
  progress.Update(5000, "");
  EXPECT_THAT(written_, ElementsAre("ingest: 0 bytes\n", "ingest: 5,000 bytes, 1,000 bytes/s\n"));
}

TEST_F(ProgressTest, BearsCountsThatMakeNoSense) {
  Progress progress("student", 10, "images", 0, Output(0));
  progress.Update(5, "");
  now_ += absl::Seconds(1);
  progress.Update(25, "beyond");
  progress.Update(-3, "backwards");
  EXPECT_THAT(written_[1], HasSubstr("(100 %)"));
  EXPECT_THAT(written_[1], Not(HasSubstr("left")));
  EXPECT_EQ(written_[2], "student: -3 of 10 images (0 %), backwards\n");
}

}  // namespace
}  // namespace retort::pipelines
