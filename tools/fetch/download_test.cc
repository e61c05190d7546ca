#include "retort/tools/fetch/download.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/data/io/file.h"
#include "retort/data/io/sha256.h"
#include "retort/testing/new_folder.h"

namespace retort::tools {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// What a server does with one request.
struct Answer {
  int code = 200;                 // 200: the file, or with a Range header and `ranges`, the rest of it as 206
  bool ranges = true;             // whether Range headers are heeded
  size_t cut_after = ~size_t{0};  // closes the connection after so many bytes of the body
  bool corrupt = false;           // the last byte of the body is wrong
  bool stall = false;             // when cut, keeps the connection open and silent
  bool length = true;             // says Content-Length
  std::string location;           // of a redirect
};

// An HTTP/1.1 server on a loopback port. Request n gets answers[n], the last one for ever.
class Server {
 public:
  Server(std::string content, std::vector<Answer> answers)
      : content_(std::move(content)), answers_(std::move(answers)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 8), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    url_ = absl::StrCat("http://127.0.0.1:", ntohs(address.sin_port), "/data.bin");
    thread_ = std::thread([this] { Run(); });
  }

  ~Server() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
    for (const int connection : open_) close(connection);
  }

  const std::string& url() const { return url_; }

  // The Range header of each request so far, "" where there was none.
  std::vector<std::string> ranges() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return ranges_;
  }

 private:
  void Run() {
    for (size_t n = 0;; ++n) {
      const int connection = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) return;
      Serve(connection, answers_[std::min(n, answers_.size() - 1)]);
    }
  }

  void Serve(int connection, const Answer& answer) {
    std::string request;
    char buffer[4096];
    while (!absl::StrContains(request, "\r\n\r\n")) {
      const ssize_t count = recv(connection, buffer, sizeof buffer, 0);
      if (count <= 0) break;
      request.append(buffer, static_cast<size_t>(count));
    }
    std::string range;
    const std::string name = "Range: bytes=";
    if (const size_t at = request.find(name); at != std::string::npos) {
      range = request.substr(at + name.size(), request.find("\r\n", at) - at - name.size());
    }
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      ranges_.push_back(range);
    }

    std::string body = content_;
    std::string head = absl::StrCat("HTTP/1.1 ", answer.code, " X\r\n");
    if (answer.code == 302) {
      head += "Location: " + answer.location + "\r\n";
      body.clear();
    } else if (answer.code == 200 && answer.ranges && !range.empty()) {
      const auto start = static_cast<size_t>(atoll(range.c_str()));
      if (start >= content_.size()) {
        head = "HTTP/1.1 416 X\r\n";
        body.clear();
      } else {
        head = absl::StrCat("HTTP/1.1 206 X\r\nContent-Range: bytes ", start, "-", content_.size() - 1, "/",
                            content_.size(), "\r\n");
        body = content_.substr(start);
      }
    } else if (answer.code != 200) {
      body = "an error page";
    }
    if (answer.corrupt && !body.empty()) body.back() ^= 1;
    if (answer.length) head += absl::StrCat("Content-Length: ", body.size(), "\r\n");
    Send(connection, head + "Connection: close\r\n\r\n");
    Send(connection, body.substr(0, answer.cut_after));
    if (answer.stall) {
      open_.push_back(connection);
    } else {
      close(connection);
    }
  }

  static void Send(int connection, absl::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return;
      bytes.remove_prefix(static_cast<size_t>(count));
    }
  }

  const std::string content_;
  const std::vector<Answer> answers_;
  int listener_;
  std::string url_;
  std::thread thread_;
  std::mutex mutex_;
  std::vector<std::string> ranges_;
  std::vector<int> open_;
};

class DownloadTest : public ::testing::Test {
 protected:
  void SetUp() override {
    // The loopback server is reached without a proxy.
    setenv("no_proxy", "127.0.0.1", 1);
    for (int i = 0; i < 100000; ++i) content_ += static_cast<char>(i % 251 ^ i / 251);
  }

  std::string Path() const { return folder_ + "/sub/data.bin"; }
  std::string Part() const { return Path() + ".part"; }

  void Put(const std::string& path, const std::string& bytes) {
    ASSERT_TRUE(data::MakeDirectories(folder_ + "/sub").ok());
    ASSERT_TRUE(data::WriteFileAtomically(path, bytes).ok());
  }

  DownloadRequest Request(const Server& server) const {
    DownloadRequest request;
    request.url = server.url();
    request.path = Path();
    request.sha256 = data::Sha256Hex(content_);
    request.retry_delay = absl::ZeroDuration();
    request.stall_timeout = absl::Seconds(1);
    return request;
  }

  void ExpectDownloaded(const absl::StatusOr<DownloadResult>& result) {
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(*result, DownloadResult::kDownloaded);
    EXPECT_TRUE(data::ReadFile(Path()).value() == content_);
    ExpectNothing(Part());
  }

  void ExpectNothing(const std::string& path) {
    EXPECT_EQ(data::ReadFile(path).status().code(), absl::StatusCode::kNotFound) << path;
  }

  const std::string folder_ = retort::testing::NewFolder();
  std::string content_;
};

TEST_F(DownloadTest, ASecondCallDoesNothing) {
  Server server(content_, {Answer()});
  ExpectDownloaded(Download(Request(server)));
  EXPECT_EQ(Download(Request(server)).value(), DownloadResult::kAlreadyThere);
  EXPECT_THAT(server.ranges(), ElementsAre(""));
}

// RFC 1321, A.5: md5 of "abc"; FIPS 180-4 examples: SHA-256 of "abc".
TEST_F(DownloadTest, BothDigestsAreChecked) {
  content_ = "abc";
  Server server(content_, {Answer()});
  DownloadRequest request = Request(server);
  request.md5 = "900150983cd24fb0d6963f7d28e17f72";
  request.sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  ExpectDownloaded(Download(request));
  request.md5[0] = '8';
  const absl::Status status = Download(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("md5 900150983cd24fb0d6963f7d28e17f72 instead of 80"));
  // What was there is not touched by a failure.
  EXPECT_EQ(data::ReadFile(Path()).value(), "abc");
}

TEST_F(DownloadTest, ResumesAPartialFile) {
  Server server(content_, {Answer()});
  Put(Part(), content_.substr(0, 60000));
  ExpectDownloaded(Download(Request(server)));
  EXPECT_THAT(server.ranges(), ElementsAre("60000-"));
}

TEST_F(DownloadTest, ResumesWhatTheServerCuts) {
  Answer cut;
  cut.cut_after = 30000;
  Server server(content_, {cut, cut, cut, Answer()});
  ExpectDownloaded(Download(Request(server)));
  EXPECT_THAT(server.ranges(), ElementsAre("", "30000-", "60000-", "90000-"));
}

TEST_F(DownloadTest, StartsAgainWhereRangesAreRefused) {
  Answer whole;
  whole.ranges = false;
  Server server(content_, {whole});
  Put(Part(), content_.substr(0, 60000));
  ExpectDownloaded(Download(Request(server)));
  EXPECT_THAT(server.ranges(), ElementsAre("60000-"));
}

TEST_F(DownloadTest, StartsAgainWhereThePartIsOfAnotherFile) {
  Server server(content_, {Answer()});
  Put(Part(), std::string(60000, 'x'));
  ExpectDownloaded(Download(Request(server)));
  EXPECT_THAT(server.ranges(), ElementsAre("60000-", ""));
}

TEST_F(DownloadTest, AWholePartIsPublished) {
  Server server(content_, {Answer()});
  Put(Part(), content_);
  ExpectDownloaded(Download(Request(server)));
  EXPECT_THAT(server.ranges(), ElementsAre("100000-"));
}

TEST_F(DownloadTest, APartThatIsTooLongIsDropped) {
  Server server(content_, {Answer()});
  Put(Part(), content_ + "more");
  ExpectDownloaded(Download(Request(server)));
  EXPECT_THAT(server.ranges(), ElementsAre("100004-", ""));
}

TEST_F(DownloadTest, ADamagedFileIsReplaced) {
  Server server(content_, {Answer()});
  Put(Path(), "damaged");
  ExpectDownloaded(Download(Request(server)));
}

TEST_F(DownloadTest, FollowsARedirect) {
  Server target(content_, {Answer()});
  Answer redirect;
  redirect.code = 302;
  redirect.location = target.url();
  Server server("", {redirect});
  ExpectDownloaded(Download(Request(server)));
}

TEST_F(DownloadTest, ARedirectToAFileIsRefused) {
  Answer redirect;
  redirect.code = 302;
  redirect.location = "file:///etc/hostname";
  Server server("", {redirect});
  EXPECT_EQ(Download(Request(server)).status().code(), absl::StatusCode::kInvalidArgument);
  ExpectNothing(Path());
  ExpectNothing(Part());
}

TEST_F(DownloadTest, ACorruptFileIsNotKept) {
  Answer corrupt;
  corrupt.corrupt = true;
  Server server(content_, {corrupt});
  const absl::Status status = Download(Request(server)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(server.url()));
  EXPECT_THAT(std::string(status.message()), HasSubstr(data::Sha256Hex(content_)));
  ExpectNothing(Path());
  ExpectNothing(Part());
  EXPECT_THAT(server.ranges(), ElementsAre(""));
}

TEST_F(DownloadTest, ACutWithoutLengthIsNotTakenForTheEnd) {
  Answer cut;
  cut.cut_after = 30000;
  cut.length = false;
  Server server(content_, {cut});
  EXPECT_EQ(Download(Request(server)).status().code(), absl::StatusCode::kDataLoss);
  ExpectNothing(Path());
}

TEST_F(DownloadTest, GivesUpAfterSoManyAttemptsAndKeepsThePart) {
  Answer cut;
  cut.cut_after = 1000;
  Server server(content_, {cut});
  DownloadRequest request = Request(server);
  request.attempts = 3;
  EXPECT_EQ(Download(request).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(server.ranges(), ElementsAre("", "1000-", "2000-"));
  EXPECT_TRUE(data::ReadFile(Part()).value() == content_.substr(0, 3000));
  ExpectNothing(Path());
}

TEST_F(DownloadTest, AStalledServerIsLeftAndResumed) {
  Answer stall;
  stall.cut_after = 500;  // so that the mean speed is too low at once
  stall.stall = true;
  Server server(content_, {stall, Answer()});
  ExpectDownloaded(Download(Request(server)));
  EXPECT_THAT(server.ranges(), ElementsAre("", "500-"));
}

TEST_F(DownloadTest, AnswersThatAreErrors) {
  struct Case {
    int code;
    absl::StatusCode status;
    size_t requests;
  };
  for (const Case& c : {Case{404, absl::StatusCode::kNotFound, 1}, Case{403, absl::StatusCode::kNotFound, 1},
                        Case{429, absl::StatusCode::kUnavailable, 5}, Case{503, absl::StatusCode::kUnavailable, 5}}) {
    Answer answer;
    answer.code = c.code;
    Server server(content_, {answer});
    const absl::Status status = Download(Request(server)).status();
    EXPECT_EQ(status.code(), c.status) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat(c.code)));
    EXPECT_EQ(server.ranges().size(), c.requests) << c.code;
    ExpectNothing(Path());
    ExpectNothing(Part());
  }
}

TEST_F(DownloadTest, NobodyListens) {
  DownloadRequest request;
  {
    Server server(content_, {Answer()});
    request = Request(server);
  }
  EXPECT_EQ(Download(request).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(DownloadTest, OtherProtocolsAreRefused) {
  for (const std::string url : {"file:///etc/hostname", "ftp://127.0.0.1/x", "nonsense://x", ""}) {
    DownloadRequest request;
    request.url = url;
    request.path = Path();
    request.sha256 = data::Sha256Hex(content_);
    EXPECT_EQ(Download(request).status().code(), absl::StatusCode::kInvalidArgument) << url;
  }
}

TEST_F(DownloadTest, EndlessFilesAreCut) {
  Server server(content_, {Answer()});
  DownloadRequest request = Request(server);
  request.most_bytes = 99999;
  const absl::Status status = Download(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("more than 99999 bytes"));
  ExpectNothing(Part());
}

TEST_F(DownloadTest, DiskFullKeepsThePartAndResumesLater) {
  Server server(content_, {Answer()});
  signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit low = before;
  low.rlim_cur = 40000;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &low), 0);
  const absl::Status status = Download(Request(server)).status();
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(Part()));
  ExpectNothing(Path());
  ExpectDownloaded(Download(Request(server)));
  EXPECT_THAT(server.ranges(), ElementsAre("", "40000-"));
}

TEST_F(DownloadTest, OneProcessAtATime) {
  Server server(content_, {Answer()});
  Put(Part(), "");
  const int holder = open(Part().c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(flock(holder, LOCK_EX), 0);
  const absl::Status status = Download(Request(server)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("another process"));
  EXPECT_THAT(server.ranges(), IsEmpty());
  close(holder);
  ExpectDownloaded(Download(Request(server)));
}

TEST_F(DownloadTest, ProgressCountsWhatWasThere) {
  Server server(content_, {Answer()});
  Put(Part(), content_.substr(0, 60000));
  int64_t last_done = 0, last_total = 0;
  DownloadRequest request = Request(server);
  request.progress = [&](int64_t done, int64_t total) {
    EXPECT_GE(done, last_done);
    last_done = done;
    last_total = total;
  };
  ExpectDownloaded(Download(request));
  EXPECT_EQ(last_done, 100000);
  EXPECT_EQ(last_total, 100000);
}

}  // namespace
}  // namespace retort::tools
