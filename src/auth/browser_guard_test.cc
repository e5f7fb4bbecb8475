#include "auth/browser_guard.h"

#include <string>

#include <gtest/gtest.h>

namespace mgpu::auth {
namespace {

TEST(BrowserGuard, KnowsTheNamesOfThisMachine) {
  for (const char* host :
       {"", "127.0.0.1:8090", "10.0.0.7", "[::1]:8090", "[fe80::1]", "localhost:8090", "LOCALHOST", "gpu-box",
        "mgpu:8090", "box.local", "host.docker.internal:8090", "app.localhost", "nas.home.arpa", "box.lan."})
    EXPECT_TRUE(is_own_host(host, {})) << host;
  for (const char* host : {"evil.example", "evil.example:8090", "127.0.0.1.evil.example",
                           "localhost.evil.example", "evil.com.", "notlocal.xlocal.com"})
    EXPECT_FALSE(is_own_host(host, {})) << host;
  EXPECT_TRUE(is_own_host("gpu.example.org:443", {"gpu.example.org"}));
  EXPECT_TRUE(is_own_host("a.example.org", {"*.Example.org"}));
}

TEST(BrowserGuard, AnOriginIsAllowedByNameByPatternOrByStar) {
  EXPECT_FALSE(is_allowed_origin({}, "https://a.example"));
  EXPECT_TRUE(is_allowed_origin({"https://a.example"}, "https://A.example"));
  EXPECT_FALSE(is_allowed_origin({"https://a.example"}, "https://a.example.evil.net"));
  EXPECT_FALSE(is_allowed_origin({"https://a.example"}, "http://a.example"));
  EXPECT_TRUE(is_allowed_origin({"app://*"}, "app://obsidian.md"));
  EXPECT_TRUE(is_allowed_origin({"*"}, "null"));
  EXPECT_FALSE(is_allowed_origin({"*"}, ""));
}

http::RequestHead request(std::string method, http::Headers headers) {
  headers.emplace_back("Host", "127.0.0.1:8090");
  return {.method = std::move(method), .headers = std::move(headers)};
}

bool passes(const http::RequestHead& head, Plane plane, const AllowedSites& allowed = {}) {
  const Result<void> checked = check_browser_request(head, plane, allowed);
  if (!checked) EXPECT_EQ(checked.error().code, ErrorCode::forbidden);
  return checked.has_value();
}

TEST(BrowserGuard, ProgramsPass) {
  for (const Plane plane : {Plane::control, Plane::data})
    for (const char* method : {"GET", "POST", "DELETE"}) EXPECT_TRUE(passes(request(method, {}), plane));
}

TEST(BrowserGuard, ARebindedNameDoesNotPass) {
  for (const Plane plane : {Plane::control, Plane::data})
    EXPECT_FALSE(passes({.method = "GET", .headers = {{"Host", "evil.example:8090"}}}, plane));
}

TEST(BrowserGuard, OwnPagesPass) {
  const auto own = request("POST", {{"Origin", "http://127.0.0.1:8090"}, {"Sec-Fetch-Site", "same-origin"}});
  EXPECT_TRUE(passes(own, Plane::control));
  EXPECT_TRUE(passes(own, Plane::data));
}

TEST(BrowserGuard, OtherPagesCanNotChangeAnything) {
  const auto foreign = request("POST", {{"Origin", "https://evil.example"}});
  EXPECT_FALSE(passes(foreign, Plane::control));
  EXPECT_FALSE(passes(foreign, Plane::data));
  EXPECT_FALSE(passes(request("POST", {{"Origin", "http://127.0.0.1:9999"}}), Plane::control));
  EXPECT_FALSE(passes(request("POST", {{"Origin", "null"}}), Plane::control));
  EXPECT_FALSE(passes(request("POST", {{"Sec-Fetch-Site", "cross-site"}}), Plane::data));
  EXPECT_FALSE(
      passes(request("GET", {{"Origin", "https://evil.example"}, {"Upgrade", "websocket"}}), Plane::data));
  EXPECT_TRUE(passes(request("GET", {{"Sec-Fetch-Site", "cross-site"}}), Plane::data));
}

TEST(BrowserGuard, AllowedOriginsMayUseTheDataPlaneOnly) {
  const auto foreign = request("POST", {{"Origin", "app://obsidian.md"}});
  const AllowedSites allowed{.origins = {"app://*"}};
  EXPECT_TRUE(passes(foreign, Plane::data, allowed));
  EXPECT_FALSE(passes(foreign, Plane::control, allowed));
  EXPECT_FALSE(passes(foreign, Plane::control, {.origins = {"*"}}));
}

}  // namespace
}  // namespace mgpu::auth
