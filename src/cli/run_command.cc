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

constexpr std::size_t kMaxWhoLength = 120;  // characters of the command that people see in the line
constexpr int kSignalExitBase = 128;        // of the exit code of a command that a signal ended
constexpr const char* kSurvivorsWarning =
    "some processes of the command can't be ended; they may still hold memory";

void print_message(const std::string& text) { fmt::print(stderr, "mgpu: {}\n", sanitize_lines(text)); }

// Whether the command can be executed, looked up as a shell would; asked before waiting in the line for
// nothing.
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

// " (chat is running)": who has the turn that this ticket waits for; empty where that can't be told.
std::string describe_running(const std::string& url, std::uint64_t ticket) {
  const auto line = client::get(url, "/v1/line");
  if (!line || !line->is_object() || !line->contains("line")) return "";
  std::string device;
  for (const client::Json& one : line->at("line"))
    if (one.value("ticket", std::uint64_t{0}) == ticket) device = one.value("device", "");
  for (const client::Json& one : line->at("line")) {
    if (one.value("stage", "") != "running" || one.value("device", "") != device) continue;
    const bool named = one.contains("consumer") && one["consumer"].is_string();
    return " (" + (named ? one["consumer"].get<std::string>() : one.value("who", "somebody")) +
           " is running)";
  }
  return "";
}

void print_position(const std::string& url, const Waiting& at) {
  if (at.place == 0) return print_message("next, its room is being made");
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

// The signals that this process sees through a descriptor while the command runs. One that is ignored (nohup)
// is none of them: the command ignores it as well.
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

// In the child: becomes the command, or returns errno.
int exec_command(const Options& options, const std::string& ticket) {
  setenv("MGPU_TICKET", ticket.c_str(), 1);
  setenv("MGPU_URL", client::url_or_default(options.url).c_str(), 1);
  if (!options.consumer.empty()) setenv("MGPU_CONSUMER", options.consumer.c_str(), 1);
  std::vector<char*> arguments;
  for (const std::string& word : options.command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  return errno;
}

// A signal from the terminal has reached the whole process group; one that was sent to us alone is passed on.
void forward_signal(int signal_fd, const Supervisor& supervisor) {
  signalfd_siginfo signal{};
  if (read(signal_fd, &signal, sizeof signal) != sizeof signal) return;
  supervisor.send_signal(static_cast<int>(signal.ssi_signo), signal.ssi_code != SI_KERNEL);
}

// Waits for the end of the command and its tree while passing signals on and watching the lease. None: the
// supervisor was killed.
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
    if (const auto why = lease.ended()) {
      print_message("the turn ended early: " + why->detail +
                    "; the command goes on, but others may use the GPU now");
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
  // Whoever is left where the supervisor is killed becomes ours.
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  const std::string ticket = std::to_string(lease.ticket());
  auto supervisor = Supervisor::fork(before, [&] { return exec_command(options, ticket); });
  if (!supervisor)
    return print_message(std::string("can't start a process: ") + std::strerror(errno)), kFailed;
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
                  (missing == kNoSuchCommand ? ": no such command" : ": can't be executed"));
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
