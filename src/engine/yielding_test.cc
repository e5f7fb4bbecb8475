#include "engine/yielding.h"

#include <vector>

#include <gtest/gtest.h>

namespace mgpu::engine {
namespace {

const std::vector<std::string> kPatterns{"steam", "*.exe"};

std::optional<gpu::ProcessUsage> yield_process_for(const std::string& command) {
  const std::vector<gpu::ProcessUsage> foreign{{.pid = 7, .command = command}};
  return find_yield_process(kPatterns, foreign);
}

TEST(YieldsTo, KnowsAProgramByTheNameOfItsFile) {
  EXPECT_EQ(yield_process_for("/usr/lib/steam/Steam -silent")->pid, 7);
  EXPECT_EQ(yield_process_for("steam")->pid, 7);
  EXPECT_FALSE(yield_process_for("/usr/lib/steam/webhelper"));
  EXPECT_FALSE(yield_process_for("python /opt/steam")) << "what a program is told is not its name";
}

TEST(YieldsTo, KnowsWindowsProgramsWithBlanksInTheirPath) {
  EXPECT_EQ(program_name("C:\\Program Files\\Some Game\\Play.EXE -windowed x.exe"), "Play.EXE");
  EXPECT_TRUE(yield_process_for("Z:\\Some Games\\play.exe"));
  EXPECT_FALSE(yield_process_for("C:\\tools\\nothing.com x"));
}

TEST(YieldsTo, YieldsToNobodyWhereNothingIsNamed) {
  const std::vector<gpu::ProcessUsage> foreign{{.pid = 7, .command = "steam"}};
  EXPECT_FALSE(find_yield_process({}, foreign));
  EXPECT_FALSE(find_yield_process(kPatterns, {}));
}

}  // namespace
}  // namespace mgpu::engine
