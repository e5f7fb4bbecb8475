#include "daemon_process.h"

#include <array>
#include <chrono>
#include <csignal>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mgpu::faults {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Json = nlohmann::json;

// Short limits, so that stalled cases end soon. A short sampling interval, since after an error all lanes
// wait for the next reading.
Json configuration(const std::vector<std::pair<std::string, std::uint16_t>>& consumers) {
  Json consumers_json = Json::object();
  for (const auto& [name, port] : consumers)
    consumers_json[name] = {{"url", fmt::format("http://127.0.0.1:{}", port)},
                            {"service", "generic"},
                            {"footprint", "1MiB"},
                            {"free_paths", {"/free/*"}}};
  return {{"listen", "127.0.0.1:0"},
          {"store", "none"},
          {"gpu", {{"sample_busy", "20ms"}, {"sample_idle", "100ms"}}},
          {"devices", {{{"id", "gpu0"}, {"capacity", 64}}}},
          {"limits",
           {{"max_header", "8KiB"},
            {"max_body", "1MiB"},
            {"body_memory", "1KiB"},
            {"wait_limit", "5s"},
            {"run_limit", "3s"},
            {"stall_limit", "1s"},
            {"drain_limit", "1s"},
            {"events", 500},
            {"history_rows", 1000}}},
          {"consumers", consumers_json}};
}

}  // namespace

DaemonProcess::DaemonProcess(fs::path program, fs::path folder,
                             const std::vector<std::pair<std::string, std::uint16_t>>& consumers)
    : folder_(std::move(folder)) {
  fs::create_directories(folder_);
  std::ofstream(folder_ / "mgpu.yaml") << configuration(consumers).dump(1);
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) throw std::runtime_error("can't create a pipe");
  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(pipe[1], STDOUT_FILENO);
    const int log = ::open((folder_ / "log").c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
    ::dup2(log, STDERR_FILENO);
    ::close(log);
    ::setenv("XDG_STATE_HOME", folder_.c_str(), 1);
    ::setenv("ASAN_OPTIONS", "quarantine_size_mb=16:detect_leaks=0:abort_on_error=1", 0);
    ::setenv("UBSAN_OPTIONS", "print_stacktrace=1:abort_on_error=1", 0);
    ::setenv("TSAN_OPTIONS", "halt_on_error=1", 0);
    const std::string config = folder_ / "mgpu.yaml";
    ::execl(program.c_str(), program.c_str(), "serve", "--config", config.c_str(), "--simulated", "24GiB",
            nullptr);
    ::_exit(127);
  }
  ::close(pipe[1]);
  stdout_fd_ = pipe[0];
  std::string output;
  const auto until = std::chrono::steady_clock::now() + 30s;
  constexpr std::string_view kReady = "listening on http://127.0.0.1:";
  while (port_ == 0 && std::chrono::steady_clock::now() < until) {
    pollfd poll_fd{.fd = stdout_fd_, .events = POLLIN, .revents = 0};
    if (::poll(&poll_fd, 1, 100) <= 0) continue;
    std::array<char, 1024> buffer;
    const ssize_t received = ::read(stdout_fd_, buffer.data(), buffer.size());
    if (received <= 0) break;
    output.append(buffer.data(), static_cast<std::size_t>(received));
    const std::size_t at = output.find(kReady);
    if (at != output.npos && output.find('\n', at) != output.npos)
      port_ = static_cast<std::uint16_t>(std::stoi(output.substr(at + kReady.size())));
  }
  if (port_ == 0) throw std::runtime_error("mgpu serve does not get ready: " + output + log_tail());
}

DaemonProcess::~DaemonProcess() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  if (stdout_fd_ >= 0) ::close(stdout_fd_);
}

bool DaemonProcess::is_alive() {
  if (pid_ < 0) return false;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return true;
  pid_ = -1;
  exit_reason_ = WIFSIGNALED(status) ? fmt::format("signal {}", WTERMSIG(status))
                                     : fmt::format("exit code {}", WEXITSTATUS(status));
  return false;
}

ResourceUsage DaemonProcess::resource_usage() const {
  ResourceUsage usage;
  std::error_code ignored;
  for (fs::directory_iterator it(fmt::format("/proc/{}/fd", pid_), ignored), end; it != end;
       it.increment(ignored))
    ++usage.descriptors;
  std::ifstream statm(fmt::format("/proc/{}/statm", pid_));
  std::size_t size = 0, resident = 0;
  statm >> size >> resident;
  usage.rss_kib = resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) / 1024;
  return usage;
}

std::string DaemonProcess::log_tail(std::size_t bytes) const {
  std::ifstream log(folder_ / "log");
  std::string text{std::istreambuf_iterator<char>(log), {}};
  // A report of a sanitizer or an assertion is before the end of the log.
  for (const std::string_view marker :
       {"ERROR: AddressSanitizer", "WARNING: ThreadSanitizer", "runtime error:"})
    if (const std::size_t at = text.find(marker); at != text.npos) {
      const std::size_t summary = text.find("SUMMARY: ", at);
      return text.substr(at, bytes) + "\n" + (summary == text.npos ? "" : text.substr(summary, 300));
    }
  return text.size() > bytes ? text.substr(text.size() - bytes) : text;
}

bool DaemonProcess::stop() {
  if (!is_alive()) return false;
  ::kill(pid_, SIGTERM);
  for (int i = 0; i < 1000 && is_alive(); ++i) std::this_thread::sleep_for(10ms);
  return exit_reason_ == "exit code 0";
}

}  // namespace mgpu::faults
