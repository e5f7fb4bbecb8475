#include "runner/command.h"

#include <array>
#include <csignal>
#include <cstdlib>
#include <string_view>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/children.h"
#include "runner/spawn.h"

namespace mgpu::runner {

namespace asio = boost::asio;
using namespace asio::experimental::awaitable_operators;

namespace {

constexpr std::size_t kMostOutput = 16 * 1024;

// The child, which does not outlive the wait for it.
struct Child {
  Child(const asio::any_io_executor& executor, const Spawned& spawned)
      : pid(spawned.pid),
        output(executor, spawned.output),
        pidfd(executor, spawned.pidfd),
        children(Children::of(executor)) {
    children.expect(pid);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (!reaped) ::kill(-pid, SIGKILL);
    children.release(pid);  // reaped there when it ends: one that hangs in the driver may take its time
  }

  int pid;
  asio::posix::stream_descriptor output;
  asio::posix::stream_descriptor pidfd;
  Children& children;
  bool reaped = false;
};

asio::awaitable<std::string> read_to_end(Child& child) {
  std::string text;
  std::array<char, 4096> buffer{};
  while (true) {
    const auto into = asio::buffer(buffer);
    const auto [error, bytes] =
        co_await child.output.async_read_some(into, asio::as_tuple(asio::use_awaitable));
    text.append(buffer.data(), std::min(bytes, kMostOutput - text.size()));
    if (error) co_return text;
  }
}

asio::awaitable<Ran> finish(Child& child) {
  Ran ran;
  ran.output = co_await read_to_end(child);
  const auto readable = asio::posix::stream_descriptor::wait_read;
  co_await child.pidfd.async_wait(readable, asio::as_tuple(asio::use_awaitable));
  int raw = 0;
  if (waitpid(child.pid, &raw, WNOHANG) != child.pid) co_return ran;
  child.reaped = true;
  ran.code = WIFSIGNALED(raw) ? 128 + WTERMSIG(raw) : WEXITSTATUS(raw);
  co_return ran;
}

}  // namespace

asio::awaitable<Result<Ran>> run_command(std::vector<std::string> words, Duration limit) {
  const std::string name = words.empty() ? "" : words.front();
  const config::ProcessConfig config{.command = std::move(words)};
  const bool outlives_us = false;
  const auto spawned = spawn(config, outlives_us);
  if (!spawned) co_return fail(ErrorCode::unavailable, spawned.error().detail);
  const auto executor = co_await asio::this_coro::executor;
  Child child(executor, *spawned);
  asio::steady_timer late(executor, limit);
  auto done = finish(child);
  auto too_late = late.async_wait(asio::use_awaitable);
  auto either = std::move(done) || std::move(too_late);
  auto first = co_await std::move(either);
  if (first.index() == 1)
    co_return fail(ErrorCode::unavailable, name + " did not end within " + to_string(limit));
  co_return std::move(std::get<0>(first));
}

std::optional<std::string> command_in_path(const std::string& name) {
  const auto runs = [](const std::string& file) { return ::access(file.c_str(), X_OK) == 0; };
  if (name.find('/') != name.npos) return runs(name) ? std::optional(name) : std::nullopt;
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin";
  while (true) {
    const auto end = rest.find(':');
    const std::string_view folder = rest.substr(0, end);
    std::string file = folder.empty() ? name : std::string(folder) + "/" + name;
    if (runs(file)) return file;
    if (end == rest.npos) return std::nullopt;
    rest.remove_prefix(end + 1);
  }
}

}  // namespace mgpu::runner
