// For tests: a container engine on a Unix socket with the observed responses of Docker and Podman. Its
// containers run nothing; the test sets what they print and when they end.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <nlohmann/json.hpp>

#include "runner/async_condition.h"

namespace mgpu::runner {

class FakeContainerEngine {
 public:
  using json = nlohmann::json;
  using LocalProtocol = boost::asio::local::stream_protocol;

  struct FakeContainer {
    json create_body = json::object();  // the body that created it
    bool running = false;
    bool paused = false;
    bool ignores_stop = false;  // ignores SIGTERM
    bool ignores_kill = false;  // and SIGKILL
    int exit_code = 0;
    std::string output{};
  };

  FakeContainerEngine(boost::asio::io_context& io, std::string path)
      : io_(io), path_(std::move(path)), changed(io.get_executor()) {
    open();
  }

  // Refuses connections and aborts requests. Its containers keep running.
  void close() {
    acceptor_.reset();
    for (const auto& socket : sockets_)
      if (const auto open_socket = socket.lock()) open_socket->close();
    std::filesystem::remove(path_);
  }
  void open() {
    acceptor_.emplace(io_, LocalProtocol::endpoint(path_));
    boost::asio::co_spawn(io_, accept(), boost::asio::detached);
  }

  void end_container(const std::string& id, int code) {
    containers[id].running = containers[id].paused = false;
    containers[id].exit_code = code;
    changed.notify_all();
  }
  void print_output(const std::string& id, const std::string& text) {
    containers[id].output += text;
    changed.notify_all();
  }

  std::map<std::string, FakeContainer> containers;  // a container's name is its id, too
  std::optional<std::string> start_error;

 private:
  boost::asio::io_context& io_;
  std::string path_;

 public:
  AsyncCondition changed;

 private:
  using Socket = std::shared_ptr<LocalProtocol::socket>;
  static constexpr std::chrono::hours kNoLimit{1};
  static constexpr auto kAsTuple = boost::asio::as_tuple(boost::asio::use_awaitable);

  boost::asio::awaitable<void> accept() {
    while (acceptor_) {
      auto [error, socket] = co_await acceptor_->async_accept(kAsTuple);
      if (error) co_return;
      const auto shared = std::make_shared<LocalProtocol::socket>(std::move(socket));
      sockets_.push_back(shared);
      boost::asio::co_spawn(io_, serve(shared), boost::asio::detached);
    }
  }

  static boost::asio::awaitable<void> send(Socket socket, std::string text) {
    const auto out = boost::asio::buffer(text);
    co_await boost::asio::async_write(*socket, out, kAsTuple);
  }
  static boost::asio::awaitable<void> send_response(Socket socket, int status, json body) {
    std::string text = status == 204 || status == 304 ? "" : body.dump();
    std::string all = "HTTP/1.1 " + std::to_string(status) +
                      " X\r\nContent-Length: " + std::to_string(text.size()) +
                      "\r\nConnection: close\r\n\r\n" + text;
    co_await send(socket, std::move(all));
    socket->close();
  }

  // Plain functions, so that no temporary is an argument of an awaited call (g++ 12 miscompiles that).
  static boost::asio::awaitable<void> send_empty_response(Socket socket, int status) {
    json none;
    return send_response(std::move(socket), status, std::move(none));
  }
  static boost::asio::awaitable<void> send_error(Socket socket, int status, std::string_view why) {
    json error_body{{"message", why}};
    return send_response(std::move(socket), status, std::move(error_body));
  }

  boost::asio::awaitable<void> serve(Socket socket) {
    std::string text;
    auto into = boost::asio::dynamic_buffer(text);
    auto [error, head] = co_await boost::asio::async_read_until(*socket, into, "\r\n\r\n", kAsTuple);
    if (error) co_return;
    const auto length_at = text.find("Content-Length: ");
    const std::size_t length = length_at == text.npos ? 0 : std::stoul(text.substr(length_at + 16));
    while (text.size() < head + length) {
      char more[4096];
      const auto buffer = boost::asio::buffer(more);
      auto [broken, n] = co_await socket->async_read_some(buffer, kAsTuple);
      if (broken) co_return;
      text.append(more, n);
    }
    const auto space = text.find(' ');
    std::string target = text.substr(space + 1, text.find(' ', space + 1) - space - 1);
    std::string method = text.substr(0, space);
    json body = json::parse(text.substr(head), nullptr, false);
    co_await route(socket, std::move(method), std::move(target), std::move(body));
  }

  boost::asio::awaitable<void> route(Socket socket, std::string method, std::string target, json body) {
    const auto question = std::min(target.find('?'), target.size());
    const std::string path = target.substr(0, question);
    const std::string query = target.substr(question);
    if (path == "/_ping") {
      json alive = "OK";
      co_return co_await send_response(socket, 200, std::move(alive));
    }
    if (path == "/containers/json") co_return co_await list(socket, query);
    if (path == "/containers/create") {
      std::string name = query.substr(6);
      co_return co_await create(socket, std::move(name), std::move(body));
    }
    const std::string rest = path.substr(std::min(path.size(), std::string("/containers/").size()));
    const std::string id = rest.substr(0, rest.find('/'));
    const std::string verb = rest.find('/') == rest.npos ? method : rest.substr(rest.find('/') + 1);
    const auto found = containers.find(id);
    if (found == containers.end()) co_return co_await send_error(socket, 404, "No such container");
    if (verb == "DELETE") {
      containers.erase(found);
      co_return co_await send_empty_response(socket, 204);
    }
    co_await handle_action(socket, id, found->second, verb);
  }

  boost::asio::awaitable<void> list(Socket socket, std::string query) {
    json all = json::array();
    for (const auto& [id, container] : containers)
      for (const auto& [label, value] : container.create_body.value("Labels", json::object()).items())
        if (query.ends_with(label + "%3D" + value.get<std::string>() + "%22%5D%7D"))
          all.push_back({{"Id", id}});
    co_await send_response(socket, 200, std::move(all));
  }

  boost::asio::awaitable<void> create(Socket socket, std::string name, json body) {
    const std::string missing = "No such image: " + body.value("Image", "");
    if (missing.contains(": missing")) co_return co_await send_error(socket, 404, missing);
    if (containers.contains(name)) co_return co_await send_error(socket, 409, "name in use");
    containers[name].create_body = std::move(body);
    json made{{"Id", name}, {"Warnings", json::array()}};
    co_await send_response(socket, 201, std::move(made));
  }

  boost::asio::awaitable<void> handle_action(Socket socket, std::string id, FakeContainer& container,
                                             std::string verb) {
    if (verb == "json") {
      json facts{
          {"Id", id},
          {"State",
           {{"Running", container.running},
            {"Paused", container.paused},
            {"Pid", container.running ? 77 : 0},
            {"ExitCode", container.exit_code}}},
          {"Config", {{"Tty", false}, {"Labels", container.create_body.value("Labels", json::object())}}},
          {"HostConfig", container.create_body.value("HostConfig", json::object())}};
      co_return co_await send_response(socket, 200, std::move(facts));
    }
    if (verb == "wait") {
      const std::function<bool()> has_ended = [&container] { return !container.running; };
      co_await changed.wait(has_ended, kNoLimit);
      json ended{{"StatusCode", container.exit_code}};
      co_return co_await send_response(socket, 200, std::move(ended));
    }
    if (verb == "logs") co_return co_await stream_logs(socket, container);
    if (verb == "start") {
      if (start_error) co_return co_await send_error(socket, 500, *start_error);
      const bool was_running = std::exchange(container.running, true);
      co_return co_await send_empty_response(socket, was_running ? 304 : 204);
    }
    if (verb == "pause" || verb == "unpause") {
      container.paused = verb == "pause";
      co_return co_await send_empty_response(socket, 204);
    }
    const bool is_stop = verb == "stop";
    if (!container.running && is_stop) co_return co_await send_empty_response(socket, 304);
    if (!container.running || container.paused) co_return co_await send_error(socket, 409, "is not running");
    if (is_stop && container.ignores_stop) {
      // A real engine kills it after the grace; this one never does, so that the test can.
      const std::function<bool()> has_ended = [&container] { return !container.running; };
      co_await changed.wait(has_ended, kNoLimit);
      co_return co_await send_empty_response(socket, 204);
    }
    if (!container.ignores_kill) end_container(id, is_stop ? 0 : 137);
    co_await send_empty_response(socket, 204);
  }

  // Each piece of output is sent as two frames, so that the decoder meets headers inside a chunk.
  boost::asio::awaitable<void> stream_logs(Socket socket, FakeContainer& container) {
    std::string begin = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", end = "0\r\n\r\n";
    co_await send(socket, std::move(begin));
    std::size_t sent = 0;
    const std::function<bool()> has_news = [&] {
      return container.output.size() > sent || !container.running;
    };
    while (true) {
      co_await changed.wait(has_news, kNoLimit);
      if (container.output.size() == sent) break;
      const std::string text = container.output.substr(sent);
      sent = container.output.size();
      std::string frames;
      for (const std::string& half : {text.substr(0, text.size() / 2), text.substr(text.size() / 2)})
        frames += std::string("\1\0\0\0\0\0\0", 7) + static_cast<char>(half.size()) + half;
      char size[16];
      std::snprintf(size, sizeof size, "%zx\r\n", frames.size());
      std::string chunk = size + frames + "\r\n";
      co_await send(socket, std::move(chunk));
    }
    co_await send(socket, std::move(end));
    socket->close();
  }

  std::optional<LocalProtocol::acceptor> acceptor_;
  std::vector<std::weak_ptr<LocalProtocol::socket>> sockets_;
};

}  // namespace mgpu::runner
