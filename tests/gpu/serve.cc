// Blocking sockets and a thread for each connection: the service of a check needs no more.
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <map>
#include <string>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/gpu/cuda_memory.h"
#include "tests/gpu/programs.h"

namespace mgpu::gpu_check {
namespace {

namespace cuda = gpu::cuda;

constexpr std::uint32_t kWord = 0x73657276;

struct Options {
  std::uint16_t port = 0;
  std::size_t bytes = 0;
  std::size_t working = 0;
  int run_ms = 0;
  std::string refused{};
};

Options parse_options(const std::vector<std::string>& words) {
  std::map<std::string, std::string> given;
  for (std::size_t i = 0; i + 1 < words.size(); i += 2) given[words[i]] = words[i + 1];
  return {.port = static_cast<std::uint16_t>(std::stoul(given["--port"])),
          .bytes = std::stoull(given["--bytes"]),
          .working = std::stoull(given["--working"]),
          .run_ms = std::stoi(given["--run-ms"]),
          .refused = given["--refused"]};
}

void note_refusal(const Options& options, const std::string& what) {
  const std::string line = what + "\n";
  const int fd = open(options.refused.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  [[maybe_unused]] const auto n = write(fd, line.data(), line.size());
  close(fd);
  std::fputs(line.c_str(), stderr);
}

// Takes and fills memory. On failure the refusal is noted, and nothing is held.
bool take(const CudaMemory& memory, const Options& options, std::size_t bytes, CudaMemory::Pointer& pointer) {
  if (bytes == 0) return true;
  auto code = memory.allocate(bytes, pointer);
  if (code == cuda::kSuccess) {
    code = memory.fill(pointer, bytes, kWord);
    if (code == cuda::kSuccess) return true;
    memory.free(pointer);
  }
  note_refusal(options, std::to_string(bytes) + " bytes: " + memory.describe(code));
  return false;
}

void answer(int socket, int status, const std::string& body) {
  const std::string text = "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Type: application/json\r\n" +
                           "Content-Length: " + std::to_string(body.size()) +
                           "\r\nConnection: close\r\n\r\n" + body;
  send(socket, text.data(), text.size(), MSG_NOSIGNAL);
}

// The request's head. Bodies are small here, and come with it or are not needed.
std::string read_head(int socket) {
  std::string head;
  std::array<char, 4096> bytes{};
  while (head.find("\r\n\r\n") == head.npos && head.size() < 64 * 1024) {
    const ssize_t n = recv(socket, bytes.data(), bytes.size(), 0);
    if (n <= 0) break;
    head.append(bytes.data(), static_cast<std::size_t>(n));
  }
  return head;
}

void serve_connection(int socket, CudaMemory& memory, const Options& options) {
  const std::string head = read_head(socket);
  if (!head.starts_with("POST ")) {
    answer(socket, 200, R"({"status":"ok"})");
  } else {
    CudaMemory::Pointer pointer = 0;
    memory.use();
    if (!take(memory, options, options.working, pointer)) {
      answer(socket, 500, R"({"error":{"message":"CUDA out of memory"}})");
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(options.run_ms));  // the work
      if (options.working > 0) memory.free(pointer);
      answer(socket, 200, R"({"done":true})");
    }
  }
  shutdown(socket, SHUT_WR);
  std::array<char, 4096> rest{};
  while (recv(socket, rest.data(), rest.size(), 0) > 0) {
  }
  close(socket);
}

int listen_on(std::uint16_t port) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return -1;
  return listen(listener, 128) == 0 ? listener : -1;
}

}  // namespace

int run_serve(const std::vector<std::string>& words) {
  const Options options = parse_options(words);
  auto memory = CudaMemory::open();
  if (!memory) return std::fprintf(stderr, "%s\n", memory.error().detail.c_str()), 1;
  CudaMemory::Pointer weights = 0;
  if (const auto code = memory->use(); code != cuda::kSuccess) {
    note_refusal(options, "context: " + memory->describe(code));
    return 1;
  }
  if (!take(*memory, options, options.bytes, weights)) return 1;
  const int listener = listen_on(options.port);
  if (listener < 0) return std::perror("listen"), 1;
  for (int socket; (socket = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;)
    std::thread(serve_connection, socket, std::ref(*memory), std::cref(options)).detach();
  return 0;
}

}  // namespace mgpu::gpu_check
