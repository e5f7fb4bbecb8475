#include "runner/command.h"

#include <array>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <string_view>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/child_reaper.h"
#include "runner/spawn.h"

namespace mgpu::runner {

namespace asio = boost::asio;
using namespace asio::experimental::awaitable_operators;

namespace {

constexpr std::size_t kMaxOutput = 16 * 1024;

// A child process that is killed when the object is destroyed before its end.
struct ChildProcess {
  ChildProcess(const asio::any_io_executor& executor, const SpawnedProcess& spawned)
      : pid(spawned.pid),
        output(executor, spawned.output),
        pidfd(executor, spawned.pidfd),
        reaper(ChildReaper::from_executor(executor)) {
    reaper.register_child(pid);
  }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess() {
    if (!reaped) ::kill(-pid, SIGKILL);
    // The reaper reaps it when it ends: a process that hangs in a driver may take long.
    reaper.unregister_child(pid);
  }

  int pid;
  asio::posix::stream_descriptor output;
  asio::posix::stream_descriptor pidfd;
  ChildReaper& reaper;
  bool reaped = false;
};

asio::awaitable<std::string> read_to_end(ChildProcess& child) {
  std::string text;
  std::array<char, 4096> buffer{};
  while (true) {
    const auto into = asio::buffer(buffer);
    const auto [error, bytes] =
        co_await child.output.async_read_some(into, asio::as_tuple(asio::use_awaitable));
    text.append(buffer.data(), std::min(bytes, kMaxOutput - text.size()));
    if (error) co_return text;
  }
}

asio::awaitable<CommandResult> wait_for_exit(ChildProcess& child) {
  CommandResult result;
  result.output = co_await read_to_end(child);
  const auto readable = asio::posix::stream_descriptor::wait_read;
  co_await child.pidfd.async_wait(readable, asio::as_tuple(asio::use_awaitable));
  int wait_status = 0;
  if (waitpid(child.pid, &wait_status, WNOHANG) != child.pid) co_return result;
  child.reaped = true;
  result.exit_code = WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
  co_return result;
}

}  // namespace

asio::awaitable<Result<CommandResult>> run_command(std::vector<std::string> argv, Duration limit) {
  const std::string name = argv.empty() ? "" : argv.front();
  const config::ProcessConfig config{.command = std::move(argv)};
  const auto spawned = spawn(config, {});
  if (!spawned) co_return fail(ErrorCode::unavailable, spawned.error().detail);
  const auto executor = co_await asio::this_coro::executor;
  ChildProcess child(executor, *spawned);
  asio::steady_timer timer(executor, limit);
  auto done = wait_for_exit(child);
  auto timeout = timer.async_wait(asio::use_awaitable);
  auto race = std::move(done) || std::move(timeout);
  auto first = co_await std::move(race);
  if (first.index() == 1)
    co_return fail(ErrorCode::unavailable,
                   name + " did not end within " + to_string(limit) + " and was killed");
  co_return std::move(std::get<0>(first));
}

Result<CommandResult> run_command_blocking(std::vector<std::string> argv, Duration limit) {
  asio::io_context io;
  Result<CommandResult> result = fail(ErrorCode::internal, "the command was not awaited");
  asio::co_spawn(io, run_command(std::move(argv), limit), [&result](std::exception_ptr failed, auto ran) {
    if (failed) std::rethrow_exception(failed);
    result = std::move(ran);
  });
  io.run();
  return result;
}

std::optional<std::string> find_executable(const std::string& name) {
  const auto is_executable = [](const std::string& file) { return ::access(file.c_str(), X_OK) == 0; };
  if (name.find('/') != name.npos) return is_executable(name) ? std::optional(name) : std::nullopt;
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin";
  while (true) {
    const auto end = rest.find(':');
    const std::string_view folder = rest.substr(0, end);
    std::string file = folder.empty() ? name : std::string(folder) + "/" + name;
    if (is_executable(file)) return file;
    if (end == rest.npos) return std::nullopt;
    rest.remove_prefix(end + 1);
  }
}

}  // namespace mgpu::runner
