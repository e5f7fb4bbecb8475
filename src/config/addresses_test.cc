#include "config/addresses.h"

#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace mgpu::config {
namespace {

// Pairs of a refused text and a part of its message; nullptr: the text is accepted.
template <class Problem>
void expect_rows(Problem problem, const std::vector<std::pair<const char*, const char*>>& rows) {
  for (const auto& [text, part] : rows) {
    const std::optional<std::string> found = problem(text);
    EXPECT_EQ(found.has_value(), part != nullptr) << text << ": " << found.value_or("accepted");
    if (found && part != nullptr) EXPECT_NE(found->find(part), std::string::npos) << text << ": " << *found;
  }
}

TEST(ListenProblem, SaysWhatToWrite) {
  expect_rows(listen_problem, {{"127.0.0.1:8090", nullptr},
                               {"0.0.0.0:0", nullptr},
                               {"[::1]:8090", nullptr},
                               {"*:8090", nullptr},
                               {"localhost:8090", nullptr},
                               {"my-host.lan:65535", nullptr},
                               {"8090", "write the host too, such as 127.0.0.1:8090"},
                               {":8090", "write 127.0.0.1:8090 for this machine alone, or 0.0.0.0:8090"},
                               {"localhost", "write HOST:PORT"},
                               {"http://127.0.0.1:8090", "without a scheme"},
                               {"::1:8090", "needs brackets"},
                               {"[::1]", "write HOST:PORT"},
                               {"[xyz]:1", "no IPv6 address"},
                               {"127.0.0.1:99999", "port \"99999\" is not a number from 0 to 65535"},
                               {"127.0.0.1:", "port \"\""},
                               {"127.0.0.1:-1", "port \"-1\""},
                               {"127.0.0.1:080", "port \"080\""},
                               {"127.0.0.1:http", "port \"http\""},
                               {"127.0.0.1:8090/", "port \"8090/\""},
                               {"999.0.0.1:80", "no IPv4 address"},
                               {"127.1:80", "no IPv4 address"},
                               {"a b:80", "no name of a host"},
                               {"", "write HOST:PORT"}});
}

TEST(UrlProblem, SaysWhatToWrite) {
  const auto http = [](std::string_view url) { return url_problem(url, "http://"); };
  expect_rows(http, {{"http://127.0.0.1:9001", nullptr},
                     {"http://localhost/base/", nullptr},
                     {"http://[::1]:9001", nullptr},
                     {"http://127.0.0.1:${PORT}/v1", nullptr},
                     {"http://a_b-c.d", nullptr},
                     {"127.0.0.1:9001", "write http://127.0.0.1:9001"},
                     {"https://h", "https is not supported"},
                     {"HTTP://h", "write http://"},
                     {"tcp://h:1", "write http://"},
                     {"http://", "names no host"},
                     {"http:///x", "names no host"},
                     {"http://h:0", "port \"0\" is not a number from 1 to 65535"},
                     {"http://h:70000", "port \"70000\""},
                     {"http://h:", "port \"\""},
                     {"http://::1:80", "needs brackets"},
                     {"http://1.2.3.256", "no IPv4 address"},
                     {"http://h/?x", "without ? and #"},
                     {"http://h#x", "without ? and #"},
                     {"http://h /x", "blank"},
                     {"http://h,i:1", "no name of a host"},
                     {"http://ann:hidden@h", "\"http://ann:***@h\" is not a URL: it can't have a user"}});
  EXPECT_FALSE(url_problem("tcp://h:10300", "tcp://"));
}

TEST(OriginProblem, IsWhatABrowserSends) {
  expect_rows(origin_problem, {{"https://chat.example", nullptr},
                               {"https://*.example:8443", nullptr},
                               {"app://*", nullptr},
                               {"*", nullptr},
                               {"null", nullptr},
                               {"chat.example", "begins with a scheme"},
                               {"https://", "write the host"},
                               {"https://chat.example/", "without / and path"},
                               {"https://a https://b", "without / and path"},
                               {"https://a b", "item of its own"}});
}

TEST(PortMappingProblem, AcceptsThoseOfDocker) {
  expect_rows(port_mapping_problem, {{"80", nullptr},
                                     {"80:8000", nullptr},
                                     {"${PORT}:8000", nullptr},
                                     {"127.0.0.1:${PORT}:8000/udp", nullptr},
                                     {"[::1]:1:2", nullptr},
                                     {"x:80", "not a port mapping"},
                                     {"80:", "not a port mapping"},
                                     {"80:0", "not a port mapping"},
                                     {"80:99999", "not a port mapping"},
                                     {"80:8000/sctp", "not a port mapping"},
                                     {"8000-8010:8000-8010", "not a port mapping"}});
}

TEST(VolumeProblem, NeedsTwoPlaces) {
  expect_rows(volume_problem, {{"/srv/models:/models", nullptr},
                               {"/srv/models:/models:ro,z", nullptr},
                               {"cache:/root/.cache", nullptr},
                               {"/srv/models", "write HOST:CONTAINER"},
                               {"~/models:/models", "${env.HOME}"},
                               {"./models:/models", "absolute path"},
                               {":/models", "absolute path"},
                               {"/srv:models", "absolute path"},
                               {"/srv:/models:", "options"},
                               {"/a:/b:/c", "options"}});
}

TEST(UnitProblem, NeedsAUnitThatCanBeStarted) {
  expect_rows(unit_problem, {{"ollama.service", nullptr},
                             {"vllm@qwen.service", nullptr},
                             {"ollama", "write ollama.service"},
                             {"llama3.2", "write llama3.2.service"},
                             {"vllm@.service", "is a template"},
                             {"my unit.service", "no blanks"}});
}

TEST(IsOwnAddress, KnowsTheNamesOfThisMachine) {
  EXPECT_TRUE(is_own_address("http://localhost:8090", "127.0.0.1:8090"));
  EXPECT_TRUE(is_own_address("http://127.0.0.1:8090/v1", "0.0.0.0:8090"));
  EXPECT_TRUE(is_own_address("http://gpu.lan:80", "gpu.lan:80"));
  EXPECT_TRUE(is_own_address("http://[::1]", "*:80"));
  EXPECT_FALSE(is_own_address("http://127.0.0.1:9001", "127.0.0.1:8090"));
  EXPECT_FALSE(is_own_address("http://10.0.0.2:8090", "127.0.0.1:8090"));
  EXPECT_FALSE(is_own_address("http://127.0.0.1:8090", "127.0.0.1:0"));
}

}  // namespace
}  // namespace mgpu::config
