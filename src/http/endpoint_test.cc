#include "http/endpoint.h"

#include <optional>

#include <gtest/gtest.h>

namespace mgpu::http {
namespace {

std::optional<ErrorCode> code_of(const Result<Endpoint>& parsed) {
  return parsed ? std::nullopt : std::optional(parsed.error().code);
}

TEST(Endpoint, IsReadFromAUrl) {
  EXPECT_EQ(*parse_url("http://127.0.0.1:9001"), (Endpoint{.host = "127.0.0.1", .port = 9001}));
  EXPECT_EQ(*parse_url("http://gpu-box/"), (Endpoint{.host = "gpu-box", .port = 80}));
  EXPECT_EQ(*parse_url("http://h:1/base/v1//"), (Endpoint{.host = "h", .port = 1, .path = "/base/v1"}));
  EXPECT_EQ(*parse_url("https://h"), (Endpoint{.scheme = Scheme::https, .host = "h", .port = 443}));
  EXPECT_EQ(*parse_url("tcp://127.0.0.1:10300"),
            (Endpoint{.scheme = Scheme::tcp, .host = "127.0.0.1", .port = 10300}));
  EXPECT_EQ(*parse_url("unix:///run/docker.sock"), unix_endpoint("/run/docker.sock"));
}

TEST(Endpoint, HasIpv6OnlyInBrackets) {
  EXPECT_EQ(*parse_url("http://[::1]:8080/x"), (Endpoint{.host = "::1", .port = 8080, .path = "/x"}));
  EXPECT_EQ(*parse_url("http://[fe80::1%eth0]"), (Endpoint{.host = "fe80::1%eth0", .port = 80}));
  for (const char* url : {"http://::1:8080", "http://[::1", "http://[]:1", "http://[localhost]:1",
                          "http://[127.0.0.1]:1", "http://[::1]8080"})
    EXPECT_FALSE(parse_url(url)) << url;
}

TEST(Endpoint, IsNothingThatTwoReadersCouldReadDifferently) {
  for (const char* url : {"",
                          "h:1",
                          "HTTP://h",
                          "ftp://h",
                          "http:/h",
                          "http://",
                          "http://:1",
                          "http:///x",
                          "http://h:",
                          "http://h:0",
                          "http://h:65536",
                          "http://h:+1",
                          "http://h:1x",
                          "http://h:${PORT}",
                          "http://u@h",
                          "http://u:p@h",
                          "http://h?x",
                          "http://h/a?b",
                          "http://h/a#b",
                          "http://h/a b",
                          "http://h h",
                          "http://h/a\r\nX: y",
                          "unix://run/x",
                          "unix://",
                          "unix:///run/"})
    EXPECT_EQ(code_of(parse_url(url)), ErrorCode::invalid_request) << url;
}

TEST(Endpoint, SaysWhatIsWrongWithAUrl) {
  EXPECT_EQ(parse_url("h:1").error().detail,
            "\"h:1\" is not a usable URL: it begins with none of http://, https://, tcp:// and unix://");
  EXPECT_EQ(parse_url("http://h:99999").error().detail,
            "\"http://h:99999\" is not a usable URL: \"99999\" is not a port: 1 to 65535");
}

TEST(Endpoint, IsReadFromAListenAddress) {
  EXPECT_EQ(*parse_listen_address("127.0.0.1:8090"), (Endpoint{.host = "127.0.0.1", .port = 8090}));
  EXPECT_EQ(*parse_listen_address("[::1]:0"), (Endpoint{.host = "::1"}));
  EXPECT_EQ(*parse_listen_address("*:80"), (Endpoint{.host = "*", .port = 80}));
  for (const char* text : {"", "here", ":1", "h:", "h:65536", "[::1]", "::1:8090", "h:1/x", "http://h:1"})
    EXPECT_EQ(code_of(parse_listen_address(text)), ErrorCode::invalid_request) << text;
  EXPECT_EQ(parse_listen_address("here").error().detail,
            "can't listen on \"here\": the port is missing; write 127.0.0.1:8090");
}

TEST(Endpoint, IsWrittenAsAUrl) {
  for (const char* url : {"http://127.0.0.1:9001", "http://[::1]:80/base", "https://h:443", "tcp://h:10300",
                          "unix:///run/docker.sock"})
    EXPECT_EQ(to_url(*parse_url(url)), url);
}

TEST(Endpoint, HasAHostHeaderAndAName) {
  const Endpoint v4{.host = "127.0.0.1", .port = 80, .path = "/base"}, v6{.host = "::1", .port = 8090};
  const Endpoint local = unix_endpoint("/run/docker.sock");
  EXPECT_EQ(host_header(v4), "127.0.0.1:80");
  EXPECT_EQ(host_header(v6), "[::1]:8090");
  EXPECT_EQ(host_header(local), "localhost");
  EXPECT_EQ(display_name(v4), "127.0.0.1:80");
  EXPECT_EQ(display_name(local), "/run/docker.sock");
}

}  // namespace
}  // namespace mgpu::http
