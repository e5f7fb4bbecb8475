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

namespace mgpu::daemon {
namespace {

constexpr Duration kPatience = std::chrono::seconds(1);
constexpr const char* kPattern = "%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v";
constexpr std::string_view kPlain = "\033[m";

std::string_view colour_of(spdlog::level::level_enum level) {
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

// Text of others is in it, which must not command a terminal. Its lines below the first are indented, so that
// they pass for no entries of their own.
std::string as_logged(std::string_view entry) {
  std::string shown = sanitize_lines(entry);
  constexpr std::string_view kIndent = "    ";
  for (auto at = shown.find('\n'); at + 1 < shown.size() && at != std::string::npos;
       at = shown.find('\n', at + 1))
    shown.insert(at + 1, kIndent);
  return shown;
}

// One line of the log as text. Where it is coloured, the level is.
class ToWriter final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  ToWriter(runner::QueuedWriter& writer, bool coloured) : writer_(writer), coloured_(coloured) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t formatted;
    formatter_->format(message, formatted);
    std::string line = as_logged({formatted.data(), formatted.size()});
    if (coloured_ && message.color_range_end > message.color_range_start) {
      line.insert(message.color_range_end, kPlain);
      line.insert(message.color_range_start, colour_of(message.level));
    }
    writer_.write(std::move(line));
  }
  void flush_() override {}

  runner::QueuedWriter& writer_;
  const bool coloured_;
};

void keep_standard_descriptors() {
  for (int descriptor = 0; descriptor <= 2; ++descriptor)
    if (::fcntl(descriptor, F_GETFD) < 0) ::open("/dev/null", O_RDWR);  // the lowest that is free: this one
}

std::string note_of_drops(std::uint64_t lines) {
  return fmt::format("mgpu: {} line{} of the log not read in time, and dropped\n", lines,
                     lines == 1 ? " was" : "s were");
}

}  // namespace

Log::Log() {
  keep_standard_descriptors();
  out_ = runner::QueuedWriter::for_descriptor(STDOUT_FILENO, {.flush_limit = kPatience});
  err_ = runner::QueuedWriter::for_descriptor(STDERR_FILENO,
                                              {.flush_limit = kPatience, .drop_note = note_of_drops});
  auto sink = std::make_shared<ToWriter>(*err_, ::isatty(STDERR_FILENO) == 1);
  auto logger = std::make_shared<spdlog::logger>("mgpu", std::move(sink));
  logger->set_pattern(kPattern);
  spdlog::set_default_logger(std::move(logger));
}

Log::~Log() { close(); }

void Log::close() {
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("mgpu", std::make_shared<spdlog::sinks::null_sink_mt>()));
  out_.reset();
  err_.reset();
}

void Log::say(std::string line) {
  if (out_) out_->write(std::move(line) + "\n");
}
void Log::complain(std::string line) {
  if (err_) err_->write(std::move(line) + "\n");
}
std::uint64_t Log::dropped() const { return (err_ ? err_->dropped() : 0) + (out_ ? out_->dropped() : 0); }

}  // namespace mgpu::daemon
