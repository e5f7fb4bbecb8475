#include "runner/port_owner.h"

#include <csignal>
#include <cstring>
#include <filesystem>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gpu/process_table.h"
#include "runner/port.h"

namespace mgpu::runner {
namespace {

// A socket that listens at an address; -1 where this host has no such address.
class ListeningSocket {
 public:
  ListeningSocket(const char* address, std::uint16_t port, bool only_v6 = false) {
    const bool is_v6 = std::strchr(address, ':') != nullptr;
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    inet_pton(is_v6 ? AF_INET6 : AF_INET, address,
              is_v6 ? static_cast<void*>(&v6.sin6_addr) : static_cast<void*>(&v4.sin_addr));
    fd_ = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = only_v6 ? 1 : 0;
    if (is_v6) setsockopt(fd_, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    const int failed = is_v6 ? bind(fd_, reinterpret_cast<sockaddr*>(&v6), sizeof v6)
                             : bind(fd_, reinterpret_cast<sockaddr*>(&v4), sizeof v4);
    works_ = failed == 0 && listen(fd_, 1) == 0;
  }
  ListeningSocket(const ListeningSocket&) = delete;
  ListeningSocket& operator=(const ListeningSocket&) = delete;
  ~ListeningSocket() { close(fd_); }
  bool works() const { return works_; }
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
  bool works_ = false;
};

http::Endpoint at(const std::string& host, std::uint16_t port) { return {.host = host, .port = port}; }

const std::string kSelf = fmt::format("pid {} ({})", getpid(), gpu::read_process_name(getpid()));

TEST(PortOwner, AFreePortIsNobodys) {
  const std::uint16_t port = *find_free_port();
  EXPECT_TRUE(check_port_is_free(at("127.0.0.1", port)));
  EXPECT_TRUE(check_port_is_free(at("localhost", port)));
  EXPECT_TRUE(find_port_owners(at("127.0.0.1", port)).empty());
}

TEST(PortOwner, TheOneThatListensIsNamed) {
  const std::uint16_t port = *find_free_port();
  for (const char* address : {"127.0.0.1", "0.0.0.0", "::"}) {
    const ListeningSocket stranger(address, port);
    if (!stranger.works()) continue;
    const auto free = check_port_is_free(at("127.0.0.1", port));
    ASSERT_FALSE(free) << address;
    EXPECT_EQ(free.error().code, ErrorCode::load_failed);
    EXPECT_EQ(free.error().detail, fmt::format("port {} belongs to {}", port, kSelf)) << address;
  }
}

TEST(PortOwner, OneThatCannotBeMistakenForItIsNoObstacle) {
  const std::uint16_t port = *find_free_port();
  {
    const ListeningSocket other_address("127.0.0.2", port);
    ASSERT_TRUE(other_address.works());
    EXPECT_TRUE(check_port_is_free(at("127.0.0.1", port)));
    EXPECT_TRUE(find_port_owners(at("127.0.0.1", port)).empty());
  }
  const ListeningSocket only_v6("::", port, true);
  if (only_v6.works()) EXPECT_TRUE(check_port_is_free(at("127.0.0.1", port)));
}

TEST(PortOwner, LocalhostIsBothLoopbackAddresses) {
  const std::uint16_t port = *find_free_port();
  const ListeningSocket stranger("::1", port);
  if (!stranger.works()) GTEST_SKIP() << "no IPv6";
  EXPECT_FALSE(check_port_is_free(at("localhost", port)));
  EXPECT_FALSE(check_port_is_free(at("::1", port)));
  EXPECT_TRUE(check_port_is_free(at("127.0.0.1", port)));
}

TEST(PortOwner, AnotherHostsPortIsNotLookedFor) {
  const std::uint16_t port = *find_free_port();
  const ListeningSocket any("0.0.0.0", port);
  ASSERT_TRUE(any.works());
  EXPECT_TRUE(check_port_is_free(at("192.0.2.1", port)));
  EXPECT_TRUE(find_port_owners(at("192.0.2.1", port)).empty());
  EXPECT_TRUE(check_port_is_own(at("gpu-server.example", port), [](int) { return false; }));
}

TEST(PortOwner, OneOfSeveralThatShareTheSocketIsEnough) {
  const std::uint16_t port = *find_free_port();
  const ListeningSocket inherited("127.0.0.1", port);
  const pid_t worker = fork();
  if (worker == 0) {
    pause();
    _exit(0);
  }
  EXPECT_TRUE(check_port_is_own(at("127.0.0.1", port), [&](int pid) { return pid == worker; }));
  const auto foreign = check_port_is_own(at("127.0.0.1", port), [](int) { return false; });
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().detail, fmt::format("port {} belongs to {}", port, kSelf)) << "the oldest";
  EXPECT_EQ(find_listener_among({worker}, at("127.0.0.1", port)), worker);
  EXPECT_EQ(find_listener_among({1}, at("127.0.0.1", port)), std::nullopt);
  kill(worker, SIGKILL);
  waitpid(worker, nullptr, 0);
}

TEST(PortOwner, AUnixSocketHasAnOwnerToo) {
  const std::string path = testing::TempDir() + "owner-" + std::to_string(getpid());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(fd, 1), 0);
  const auto free = check_port_is_free(http::unix_endpoint(path));
  ASSERT_FALSE(free);
  EXPECT_EQ(free.error().detail, fmt::format("socket {} belongs to {}", path, kSelf));
  close(fd);
  EXPECT_TRUE(check_port_is_free(http::unix_endpoint(path))) << "the file alone is no obstacle";
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace mgpu::runner
