#include <fstream>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "api/api.h"
#include "api/openapi.h"

namespace mgpu::api {
namespace {

TEST(Routes, AreAllInTheOpenapiDocument) {
  std::ifstream file(MGPU_DOCS "/openapi.yaml");
  std::stringstream text;
  text << file.rdbuf();
  for (const Route& route : routes())
    EXPECT_NE(text.str().find("\n  " + std::string(route.path) + ":\n"), std::string::npos) << route.path;
}

TEST(Routes, ServeTheDocumentThatIsInTheRepository) {
  std::ifstream file(MGPU_DOCS "/openapi.yaml");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), kOpenapi);
}

TEST(Routes, AreOursWhateverTheMethodAndLeaveTheGatewaysAlone) {
  EXPECT_TRUE(has_route("/v1/status"));
  EXPECT_TRUE(has_route("/v1/consumers/chat/load"));
  EXPECT_TRUE(has_route("/v1/leases/7"));
  EXPECT_FALSE(has_route("/v1/leases/"));
  EXPECT_FALSE(has_route("/v1/chat/completions"));
  EXPECT_FALSE(has_route("/v1/models"));
  EXPECT_FALSE(has_route("/v1/consumers/chat/load/more"));
  EXPECT_FALSE(has_route("/"));
}

TEST(Query, IsDecoded) {
  const auto query = parse_query("ai_model=a%2Fb%20c&follow=false&&x");
  EXPECT_EQ(query,
            (std::map<std::string, std::string>{{"ai_model", "a/b c"}, {"follow", "false"}, {"x", ""}}));
  EXPECT_EQ(percent_decode("100%"), "100%");
}

}  // namespace
}  // namespace mgpu::api
