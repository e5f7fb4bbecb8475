#include "cli/run_command.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sanitize.h"
#include "cli/exit_codes.h"
#include "cli/process_tree.h"
#include "cli/supervisor.h"
#include "cli/text_format.h"
#include "client/api_calls.h"
#include "client/url.h"

#include "mgpu/client.h"

namespace mgpu::cli {
namespace {

constexpr std::size_t kMaxWhoLength = 120;  // bytes of the command that `mgpu line` shows
constexpr int kSignalExitBase = 128;        // exit code of a command that signal N ended: 128 + N
constexpr const char* kSurvivorsWarning =
    "some processes of the command could not be ended and may still hold device memory (see mgpu memory)";

void print_message(const std::string& text) { fmt::print(stderr, "mgpu: {}\n", sanitize_lines(text)); }

// Looks the command up as a shell does, before a ticket waits for nothing. Returns kOk, kNoSuchCommand or
// kNotExecutable.
int check_executable(const std::string& name) {
  if (name.find('/') != std::string::npos)
    return access(name.c_str(), X_OK) == 0
               ? kOk
               : (access(name.c_str(), F_OK) == 0 ? kNotExecutable : kNoSuchCommand);
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "/usr/bin:/bin";
  int found = kNoSuchCommand;
  while (true) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    const std::filesystem::path candidate = std::filesystem::path(rest.substr(0, end)) / name;
    std::error_code ignored;
    if (std::filesystem::is_regular_file(candidate, ignored)) {
      if (access(candidate.c_str(), X_OK) == 0) return kOk;
      found = kNotExecutable;
    }
    if (end == rest.size()) return found;
    rest.remove_prefix(end + 1);
  }
}

int exit_code_of(const Failure& failure) {
  if (failure.code == "unavailable") return kUnreachable;
  if (failure.code == "wait_limit") return kWaitLimit;
  return failure.code == "invalid_request" ? kUsage : kRefused;
}

// " (chat is running)": the holder of the turn that this ticket waits for; empty where it is unknown.
std::string describe_running(const std::string& url, std::uint64_t ticket) {
  const auto line = client::get(url, "/v1/line");
  if (!line || !line->is_object() || !line->contains("line")) return "";
  std::string device;
  for (const client::Json& entry : line->at("line"))
    if (entry.value("ticket", std::uint64_t{0}) == ticket) device = entry.value("device", "");
  for (const client::Json& entry : line->at("line")) {
    if (entry.value("stage", "") != "running" || entry.value("device", "") != device) continue;
    const bool named = entry.contains("consumer") && entry["consumer"].is_string();
    return " (" + (named ? entry["consumer"].get<std::string>() : entry.value("who", "another program")) +
           " is running)";
  }
  return "";
}

void print_position(const std::string& url, const Waiting& at) {
  if (at.place == 0) return print_message("next in line, its device memory is being freed or loaded");
  const std::string place = at.place == 1 ? "next" : ordinal(at.place);
  const std::string starts =
      at.estimated_wait
          ? ", starts in about " + format_duration(static_cast<double>(at.estimated_wait->count()))
          : "";
  print_message("waiting, " + place + " in line" + describe_running(url, at.ticket) + starts);
}

Request lease_request(const Options& options) {
  Request request{.consumer = options.consumer,
                  .bytes = static_cast<std::uint64_t>(options.bytes.count),
                  .device = options.device,
                  .who = "mgpu run",
                  .wait_limit = options.wait_limit,
                  .priority = options.priority,
                  .user = options.user,
                  .deadline = options.deadline};
  for (const std::string& word : options.command) request.who += " " + word;
  request.who.resize(std::min(request.who.size(), kMaxWhoLength));
  if (!options.quiet)
    request.on_waiting = [url = client::url_or_default(options.url)](const Waiting& at) {
      print_position(url, at);
    };
  return request;
}

// The signals that this process reads from a descriptor while the command runs. Ignored ones (nohup) are left
// out: the command inherits that they are ignored.
sigset_t watched_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2}) {
    struct sigaction before{};
    sigaction(number, nullptr, &before);
    if (before.sa_handler != SIG_IGN) sigaddset(&set, number);
  }
  return set;
}

// In the child process: executes the command; returns errno if that fails.
int exec_command(const Options& options, const std::string& ticket, const std::string& run_id) {
  setenv("MGPU_RUN", run_id.c_str(), 1);
  setenv("MGPU_TICKET", ticket.c_str(), 1);
  setenv("MGPU_URL", client::url_or_default(options.url).c_str(), 1);
  if (!options.consumer.empty()) setenv("MGPU_CONSUMER", options.consumer.c_str(), 1);
  std::vector<char*> arguments;
  for (const std::string& word : options.command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  return errno;
}

// A signal of the terminal (SI_KERNEL) has reached the command's process group, too; others are forwarded.
void forward_signal(int signal_fd, const Supervisor& supervisor) {
  signalfd_siginfo signal{};
  if (read(signal_fd, &signal, sizeof signal) != sizeof signal) return;
  supervisor.send_signal(static_cast<int>(signal.ssi_signo), signal.ssi_code != SI_KERNEL);
}

// Waits for the report of the supervisor; meanwhile forwards signals, and warns if the lease ends early.
// None: the supervisor was killed.
std::optional<SupervisorReport> wait_for_command(const Supervisor& supervisor, int signal_fd, Lease& lease) {
  bool warned = false;
  for (;;) {
    std::array<pollfd, 3> watched{{{signal_fd, POLLIN, 0},
                                   {supervisor.descriptor(), POLLIN, 0},
                                   {warned ? -1 : lease.native_handle(), POLLIN, 0}}};
    if (poll(watched.data(), watched.size(), -1) < 0) continue;
    if (watched[0].revents != 0) forward_signal(signal_fd, supervisor);
    if (watched[1].revents != 0) return supervisor.receive_report();
    if (watched[2].revents == 0) continue;
    if (const auto reason = lease.ended()) {
      print_message("the turn ended early: " + reason->detail +
                    "; the command continues, but other programs may use the GPU now");
      warned = true;
    }
  }
}

int exit_code_of(int status) {
  return WIFSIGNALED(status) ? kSignalExitBase + WTERMSIG(status) : WEXITSTATUS(status);
}

int run_in_turn(const Options& options, Lease& lease) {
  const sigset_t watched = watched_signals();
  sigset_t before;
  sigprocmask(SIG_BLOCK, &watched, &before);
  const int signal_fd = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
  // If the supervisor is killed, the command's processes become children of this process.
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  const std::string ticket = std::to_string(lease.ticket());
  const std::string run_id = make_run_id();
  auto supervisor = Supervisor::fork(before, [&] { return exec_command(options, ticket, run_id); });
  if (!supervisor)
    return print_message(std::string("can't start a process for the command: ") + std::strerror(errno)),
           kFailed;
  const std::optional<SupervisorReport> report = wait_for_command(*supervisor, signal_fd, lease);
  const int own_status = supervisor->reap();
  close(signal_fd);
  if (!report) {
    const bool all_ended = terminate_descendants(kTreeTermination, [] { return false; });
    if (!all_ended) print_message(kSurvivorsWarning);
    return exit_code_of(own_status);
  }
  if (report->kind == SupervisorReport::Kind::not_started) {
    print_message(options.command.front() + ": " + std::strerror(report->value));
    return report->value == ENOENT ? kNoSuchCommand : kNotExecutable;
  }
  if (report->has_survivors) print_message(kSurvivorsWarning);
  return exit_code_of(report->value);
}

}  // namespace

int run_command(const Options& options) {
  if (const int missing = check_executable(options.command.front()); missing != kOk) {
    print_message(options.command.front() +
                  (missing == kNoSuchCommand ? ": no such command" : ": no permission to execute it"));
    return missing;
  }
  Outcome<Lease> lease = Client(options.url).acquire(lease_request(options));
  if (!lease) {
    print_message(lease.failure().code + ": " + lease.failure().detail);
    return exit_code_of(lease.failure());
  }
  return run_in_turn(options, *lease);
}

}  // namespace mgpu::cli
