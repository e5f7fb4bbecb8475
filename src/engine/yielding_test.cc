#include "engine/yielding.h"

#include <vector>

#include <gtest/gtest.h>

namespace mgpu::engine {
namespace {

const std::vector<std::string> kPatterns{"steam", "*.exe"};

std::optional<gpu::ProcessUsage> left_to(const std::string& command) {
  const std::vector<gpu::ProcessUsage> foreign{{.pid = 7, .command = command}};
  return yields_to(kPatterns, foreign);
}

TEST(YieldsTo, KnowsAProgramByTheNameOfItsFile) {
  EXPECT_EQ(left_to("/usr/lib/steam/Steam -silent")->pid, 7);
  EXPECT_EQ(left_to("steam")->pid, 7);
  EXPECT_FALSE(left_to("/usr/lib/steam/webhelper"));
  EXPECT_FALSE(left_to("python /opt/steam")) << "what a program is told is not its name";
}

TEST(YieldsTo, KnowsWindowsProgramsWithBlanksInTheirPath) {
  EXPECT_EQ(program_name("C:\\Program Files\\Some Game\\Play.EXE -windowed x.exe"), "Play.EXE");
  EXPECT_TRUE(left_to("Z:\\Some Games\\play.exe"));
  EXPECT_FALSE(left_to("C:\\tools\\nothing.com x"));
}

TEST(YieldsTo, YieldsToNobodyWhereNothingIsNamed) {
  const std::vector<gpu::ProcessUsage> foreign{{.pid = 7, .command = "steam"}};
  EXPECT_FALSE(yields_to({}, foreign));
  EXPECT_FALSE(yields_to(kPatterns, {}));
}

}  // namespace
}  // namespace mgpu::engine
