// A program that is started for a step and talks by lines: commands on its stdin, answers on its stdout. The
// kernel kills it when the step's process ends, and the destructor kills it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace mgpu::gpu_check {

class ChildProcess {
 public:
  // `words[0]` is a path. `output_file`: where stderr goes (appended); empty: the step's own. A program that
  // can't be started shows as one that ends at once.
  explicit ChildProcess(const std::vector<std::string>& words, const std::string& output_file = "");
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess();

  int pid() const { return pid_; }
  void write_line(const std::string& line) const;
  // The next line that contains `text`; none: it ended, or did not print such a line within the limit.
  std::optional<std::string> wait_for_line(const std::string& text, double limit_ms);
  void signal(int number) const;
  // Waits until it ended; false: it did not within the limit.
  bool wait(double limit_ms);
  void kill_and_wait();

 private:
  std::optional<std::string> take_line();

  int pid_ = -1;
  int input_ = -1;   // its stdin
  int output_ = -1;  // its stdout
  bool reaped_ = false;
  std::string buffer_{};
};

// The folder of this executable.
std::string program_folder();

}  // namespace mgpu::gpu_check
