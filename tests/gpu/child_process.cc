#include "tests/gpu/child_process.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/gpu/clock.h"

namespace mgpu::gpu_check {
namespace {

[[noreturn]] void exec_child(const std::vector<std::string>& words, int input, int output, int errors,
                             pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  dup2(input, 0);
  dup2(output, 1);
  if (errors >= 0) dup2(errors, 2);
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  execv(argv.front(), argv.data());
  _exit(127);
}

}  // namespace

std::string program_folder() {
  std::error_code failed;
  return std::filesystem::read_symlink("/proc/self/exe", failed).parent_path().string();
}

ChildProcess::ChildProcess(const std::vector<std::string>& words, const std::string& output_file) {
  std::array<int, 2> in{-1, -1}, out{-1, -1};
  if (pipe2(in.data(), O_CLOEXEC) != 0 || pipe2(out.data(), O_CLOEXEC) != 0) return;
  const int errors =
      output_file.empty() ? -1 : open(output_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) exec_child(words, in[0], out[1], errors, parent);
  for (const int fd : {in[0], out[1], errors})
    if (fd >= 0) close(fd);
  input_ = in[1];
  output_ = out[0];
}

ChildProcess::~ChildProcess() {
  kill_and_wait();
  close(input_);
  close(output_);
}

void ChildProcess::write_line(const std::string& line) const {
  const std::string text = line + "\n";
  [[maybe_unused]] const auto n = write(input_, text.data(), text.size());
}

std::optional<std::string> ChildProcess::take_line() {
  const auto end = buffer_.find('\n');
  if (end == buffer_.npos) return std::nullopt;
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 1);
  return line;
}

std::optional<std::string> ChildProcess::wait_for_line(const std::string& text, double limit_ms) {
  const double until = now_ms() + limit_ms;
  while (true) {
    while (auto line = take_line())
      if (line->find(text) != line->npos) return line;
    pollfd readable{.fd = output_, .events = POLLIN, .revents = 0};
    const int left = static_cast<int>(until - now_ms());
    if (left <= 0 || poll(&readable, 1, left) <= 0) return std::nullopt;
    std::array<char, 4096> bytes{};
    const ssize_t n = read(output_, bytes.data(), bytes.size());
    if (n <= 0) return std::nullopt;
    buffer_.append(bytes.data(), static_cast<std::size_t>(n));
  }
}

void ChildProcess::signal(int number) const {
  if (pid_ > 0 && !reaped_) ::kill(pid_, number);
}

bool ChildProcess::wait(double limit_ms) {
  const double until = now_ms() + limit_ms;
  while (pid_ > 0 && !reaped_) {
    int status = 0;
    reaped_ = waitpid(pid_, &status, WNOHANG) == pid_;
    if (reaped_) break;
    if (now_ms() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

void ChildProcess::kill_and_wait() {
  signal(SIGKILL);
  wait(10'000);  // a process that hangs in the driver may take longer: it is left to init
}

}  // namespace mgpu::gpu_check
