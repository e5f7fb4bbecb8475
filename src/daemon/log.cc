#include "daemon/log.h"

#include <chrono>
#include <mutex>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/null_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "base/sanitize.h"
#include "config/hidden_values.h"

namespace mgpu::daemon {
namespace {

constexpr Duration kCloseLimit = std::chrono::seconds(1);
constexpr const char* kLogPattern = "%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v";
constexpr std::string_view kResetColour = "\033[m";

std::string_view level_colour(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::warn:
      return "\033[33m\033[1m";
    case spdlog::level::err:
    case spdlog::level::critical:
      return "\033[31m\033[1m";
    default:
      return "\033[32m";
  }
}

// An entry may hold text of clients and services: control sequences are escaped, so that it cannot command a
// terminal, and further lines are indented, so that they cannot pass for entries of their own.
std::string format_entry(std::string_view entry) {
  std::string shown = sanitize_lines(entry);
  constexpr std::string_view kIndent = "    ";
  for (auto at = shown.find('\n'); at + 1 < shown.size() && at != std::string::npos;
       at = shown.find('\n', at + 1))
    shown.insert(at + 1, kIndent);
  return shown;
}

void reserve_standard_descriptors() {
  for (int descriptor = 0; descriptor <= 2; ++descriptor)
    if (::fcntl(descriptor, F_GETFD) < 0) ::open("/dev/null", O_RDWR);  // returns the lowest free number
}

std::string format_dropped_note(std::uint64_t lines) {
  return fmt::format("mgpu: dropped {} line{} of the log: stderr was not read in time\n", lines,
                     lines == 1 ? "" : "s");
}

}  // namespace

// Passes each entry to a QueuedWriter; with `coloured`, the level is coloured.
class LogSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  LogSink(runner::QueuedWriter& writer, bool coloured) : writer_(writer), coloured_(coloured) {}

  void hide_values(std::vector<config::EnvironmentUse> values) {
    const std::lock_guard lock(mutex_);
    hidden_ = std::move(values);
  }

 private:
  void sink_it_(const spdlog::details::log_msg& original) override {
    const std::string shown =
        config::hide_values({original.payload.data(), original.payload.size()}, hidden_);
    spdlog::details::log_msg message = original;
    message.payload = shown;
    spdlog::memory_buf_t formatted;
    formatter_->format(message, formatted);
    std::string line = format_entry({formatted.data(), formatted.size()});
    if (coloured_ && message.color_range_end > message.color_range_start) {
      line.insert(message.color_range_end, kResetColour);
      line.insert(message.color_range_start, level_colour(message.level));
    }
    writer_.write(std::move(line));
  }
  void flush_() override {}

  runner::QueuedWriter& writer_;
  const bool coloured_;
  std::vector<config::EnvironmentUse> hidden_{};
};

Log::Log() {
  reserve_standard_descriptors();
  stdout_writer_ = runner::QueuedWriter::for_descriptor(STDOUT_FILENO, {.flush_limit = kCloseLimit});
  stderr_writer_ = runner::QueuedWriter::for_descriptor(
      STDERR_FILENO, {.flush_limit = kCloseLimit, .drop_note = format_dropped_note});
  sink_ = std::make_shared<LogSink>(*stderr_writer_, ::isatty(STDERR_FILENO) == 1);
  auto logger = std::make_shared<spdlog::logger>("mgpu", sink_);
  logger->set_pattern(kLogPattern);
  spdlog::set_default_logger(std::move(logger));
}

Log::~Log() { close(); }

void Log::close() {
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("mgpu", std::make_shared<spdlog::sinks::null_sink_mt>()));
  stdout_writer_.reset();
  stderr_writer_.reset();
}

void Log::hide_values(std::vector<config::EnvironmentUse> values) {
  hidden_ = values;
  sink_->hide_values(std::move(values));
}

void Log::print(std::string line) {
  if (stdout_writer_) stdout_writer_->write(std::move(line) + "\n");
}
void Log::print_error(const std::string& line) {
  if (stderr_writer_) stderr_writer_->write(config::hide_values(line, hidden_) + "\n");
}
std::uint64_t Log::dropped() const {
  return (stderr_writer_ ? stderr_writer_->dropped() : 0) + (stdout_writer_ ? stdout_writer_->dropped() : 0);
}

}  // namespace mgpu::daemon
