// Covers readers that are slow, closed, or not there yet.
#include "runner/queued_writer.h"

#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <sstream>
#include <string>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mgpu::runner {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

class QueuedWriterTest : public testing::Test {
 protected:
  void SetUp() override {
    std::signal(SIGPIPE, SIG_IGN);
    std::string name = (std::filesystem::temp_directory_path() / "mgpu-writer-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    ASSERT_EQ(::pipe2(pipe_.data(), O_CLOEXEC), 0);
  }
  void TearDown() override {
    for (const int end : pipe_)
      if (end >= 0) ::close(end);
    std::filesystem::remove_all(folder_);
  }
  void close_end(std::size_t which) { ::close(std::exchange(pipe_[which], -1)); }

  // Reads until `is_enough` holds of the text, for 10 s at most.
  static std::string read_until(int from, const std::function<bool(const std::string&)>& is_enough) {
    std::string text;
    std::array<char, 4096> buffer{};
    const auto deadline = SteadyClock::now() + 10s;
    while (!is_enough(text) && SteadyClock::now() < deadline) {
      const auto count = ::read(from, buffer.data(), buffer.size());
      if (count > 0) text.append(buffer.data(), static_cast<std::size_t>(count));
      if (count <= 0) std::this_thread::sleep_for(1ms);
    }
    return text;
  }
  static bool wait_until(const std::function<bool()>& condition) {
    const auto deadline = SteadyClock::now() + 10s;
    while (!condition() && SteadyClock::now() < deadline) std::this_thread::sleep_for(1ms);
    return condition();
  }

  std::filesystem::path folder_{};
  std::array<int, 2> pipe_{-1, -1};
};

TEST_F(QueuedWriterTest, WritesInOrder) {
  auto writer = QueuedWriter::for_descriptor(pipe_[1], {.flush_limit = 1s});
  for (int i = 0; i < 1000; ++i) writer->write(std::to_string(i) + "\n");
  writer.reset();
  close_end(1);
  const std::string text =
      read_until(pipe_[0], [](const std::string& so_far) { return so_far.ends_with("999\n"); });
  EXPECT_TRUE(text.starts_with("0\n1\n2\n")) << text.substr(0, 20);
}

TEST_F(QueuedWriterTest, NeverWaitsForAReaderThatStopped) {
  const auto begin = SteadyClock::now();
  auto writer = QueuedWriter::for_descriptor(
      pipe_[1], {.drop_note = [](std::uint64_t pieces) { return std::to_string(pieces) + " lost\n"; }});
  const std::string line(1000, 'x');
  for (int i = 0; i < 5000; ++i) writer->write(line + "\n");
  EXPECT_LT(SteadyClock::now() - begin, 2s);
  const std::uint64_t dropped = writer->dropped();
  EXPECT_GT(dropped, 3000U) << "5 MB do not fit into the queue";
  // The reader receives the notice once it reads again.
  std::string text = read_until(pipe_[0], [](const std::string& so_far) { return so_far.size() > 300'000; });
  writer->write("back\n");
  text += read_until(pipe_[0], [](const std::string& so_far) { return so_far.ends_with("back\n"); });
  // Lines may be dropped before and after a notice, so that several notices share the number.
  std::uint64_t reported = 0;
  std::istringstream lines(text);
  for (std::string read; std::getline(lines, read);)
    if (read.ends_with(" lost")) reported += std::stoull(read);
  EXPECT_EQ(reported, dropped);
}

TEST_F(QueuedWriterTest, IsNotHeldUpAtItsEndEither) {
  auto writer = QueuedWriter::for_descriptor(pipe_[1], {});
  for (int i = 0; i < 500; ++i) writer->write(std::string(1000, 'x'));
  const auto begin = SteadyClock::now();
  writer.reset();
  EXPECT_LT(SteadyClock::now() - begin, 1s);
}

TEST_F(QueuedWriterTest, OutlivesTheReader) {
  auto writer = QueuedWriter::for_descriptor(pipe_[1], {});
  close_end(0);
  writer->write("lost\n");
  EXPECT_TRUE(wait_until([&] { return writer->dropped() == 1; }));
}

TEST_F(QueuedWriterTest, WaitsForTheReaderOfAFifo) {
  const std::string fifo = folder_ / "log";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const auto begin = SteadyClock::now();
  auto writer = QueuedWriter::open(fifo, {});
  ASSERT_TRUE(writer) << writer.error().detail;
  (*writer)->write("first\n");
  EXPECT_LT(SteadyClock::now() - begin, 1s);
  // A second reader gets what is written after the first one has closed.
  for (const std::string expected : {"first\n", "second\n"}) {
    const int reader = ::open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (expected == "second\n") (*writer)->write(expected);
    const auto is_there = [&](const std::string& so_far) { return so_far.ends_with(expected); };
    EXPECT_TRUE(is_there(read_until(reader, is_there))) << expected;
    ::close(reader);
  }
}

TEST_F(QueuedWriterTest, SaysWhyAFileCanNotBeWritten) {
  const auto writer = QueuedWriter::open(folder_ / "none" / "log", {});
  ASSERT_FALSE(writer);
  EXPECT_EQ(writer.error().code, ErrorCode::load_failed);
  EXPECT_EQ(writer.error().detail, "No such file or directory");
}

}  // namespace
}  // namespace mgpu::runner
