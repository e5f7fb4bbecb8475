// mgpu-gpu-check: what a real GPU and the daemon on it do, with figures. docs/gpu.md describes it.
//
//   mgpu-gpu-check all [--out DIR] [options]      every step; writes DIR/gpu.md and DIR/gpu.json
//   mgpu-gpu-check step NAME [options]            one step; its result as JSON on stdout
//     --work DIR         for logs and large files; default: DIR of --out, or the current folder
//     --quick            fewer tries and small amounts
//     --only A,B         of all steps only these
//     --limit SECONDS    of all steps together
//   mgpu-gpu-check hold ... | serve ...                         programs.h
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/gpu/clock.h"
#include "tests/gpu/nvml_view.h"
#include "tests/gpu/programs.h"
#include "tests/gpu/steps.h"

namespace {

using namespace mgpu::gpu_check;
using nlohmann::json;

constexpr int kUsage = 2;
constexpr int kLeastSeconds = 2;  // a step with less is skipped

struct Arguments {
  std::string command{};
  std::string step{};
  std::string out = ".";
  std::string work{};
  std::string only{};
  bool quick = false;
  int limit_s = 460;  // of all steps together: under eight minutes with the daemon's ends
};

Arguments parse_arguments(const std::vector<std::string>& words) {
  Arguments arguments;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool has_value = i + 1 < words.size();
    if (words[i] == "--quick")
      arguments.quick = true;
    else if (words[i] == "--out" && has_value)
      arguments.out = words[++i];
    else if (words[i] == "--only" && has_value)
      arguments.only = words[++i];
    else if (words[i] == "--work" && has_value)
      arguments.work = words[++i];
    else if (words[i] == "--limit" && has_value)
      arguments.limit_s = std::atoi(words[++i].c_str());
    else
      (arguments.command.empty() ? arguments.command : arguments.step) = words[i];
  }
  if (arguments.work.empty()) arguments.work = arguments.out;
  return arguments;
}

const Step* find_step(const std::string& name) {
  const auto& steps = step_table();
  const auto found = std::ranges::find(steps, name, [](const Step& step) { return std::string(step.name); });
  return found == steps.end() ? nullptr : &*found;
}

StepOptions options_of(const Arguments& arguments) {
  const std::string folder = std::filesystem::absolute(arguments.work).string();
  std::filesystem::create_directories(folder);
  return {.quick = arguments.quick, .folder = folder};
}

int run_one(const Arguments& arguments) {
  const Step* step = find_step(arguments.step);
  if (step == nullptr)
    return std::fprintf(stderr, "there is no step \"%s\"\n", arguments.step.c_str()), kUsage;
  const double start = now_ms();
  StepResult result;
  try {
    result = step->run(options_of(arguments));
  } catch (const std::exception& error) {
    result.fail(error.what());
  }
  std::printf("%s\n", to_json(step->title, (now_ms() - start) / 1e3, result).dump(1).c_str());
  return result.outcome == "failed" ? 1 : 0;
}

// Children of a step that is over, which init would adopt, are this process' (a subreaper): all are ended.
void end_leftovers() {
  for (int round = 0; round < 100; ++round) {
    int status = 0;
    while (waitpid(-1, &status, WNOHANG) > 0) {
    }
    bool any = false;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const int pid = std::atoi(entry.path().filename().c_str());
      std::ifstream file(entry.path() / "stat");
      std::string stat;
      if (pid <= 1 || !std::getline(file, stat) || stat.rfind(')') == stat.npos) continue;
      char state = 0;
      int parent = 0;
      if (std::sscanf(stat.c_str() + stat.rfind(')') + 1, " %c %d", &state, &parent) != 2 ||
          parent != getpid())
        continue;
      kill(pid, SIGKILL);
      any = true;
    }
    if (!any) return;
    usleep(10'000);
  }
}

// Runs the step in a process of its own, which is killed after the limit.
json run_step(const Step& step, const Arguments& arguments, int limit_s) {
  const std::string file = arguments.work + "/step-" + step.name + ".json";
  const std::string rows = file + ".rows";
  const double start = now_ms();
  const pid_t pid = fork();
  if (pid == 0) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    dup2(fd, STDOUT_FILENO);
    rows_file() = rows;
    Arguments one = arguments;
    one.step = step.name;
    _exit((run_one(one), std::fflush(stdout), 0));
  }
  int status = 0;
  pid_t ended = 0;
  while ((ended = waitpid(pid, &status, WNOHANG)) == 0 && now_ms() - start < limit_s * 1e3) usleep(20'000);
  if (ended == 0) kill(-pid, SIGKILL);
  end_leftovers();
  std::ifstream result(file);
  json parsed = json::parse(result, nullptr, false);
  if (parsed.is_object()) return parsed;
  StepResult lost{.rows = read_rows(rows)};
  lost.fail(ended == 0 ? "it did not end within " + std::to_string(limit_s) + " s and was killed"
                       : "it ended without a result, with the status " + std::to_string(status));
  return to_json(step.title, (now_ms() - start) / 1e3, lost);
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&now));
  return text;
}

// The check and the daemon use one device, the same for NVML and CUDA: the first, or what
// CUDA_VISIBLE_DEVICES says. Without a driver the steps say what is missing.
void choose_device() {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  const auto nvml = NvmlView::open();
  if (!nvml) return;
  const auto& devices = nvml->devices();
  const auto number = static_cast<std::size_t>(visible != nullptr ? std::atoi(visible) : 0);
  const bool is_number = visible == nullptr || std::strchr("0123456789", *visible) != nullptr;
  if (is_number && number < devices.size()) setenv("CUDA_VISIBLE_DEVICES", devices[number].uuid.c_str(), 1);
}

// After every step, so that what was found survives whatever ends this program.
void write_record(const Arguments& arguments, const json& record) {
  std::ofstream(arguments.out + "/gpu.json") << record.dump(1) << "\n";
  std::ofstream(arguments.out + "/gpu.md") << to_markdown(record);
}

bool is_wanted(const Step& step, const Arguments& arguments) {
  return arguments.only.empty() ||
         ("," + arguments.only + ",").find("," + std::string(step.name) + ",") != std::string::npos;
}

int run_all(const Arguments& arguments) {
  std::filesystem::create_directories(arguments.out);
  std::filesystem::create_directories(arguments.work);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  choose_device();
  json record{{"at", utc_now()}, {"quick", arguments.quick}, {"steps", json::array()}};
  const double start = now_ms();
  int failed = 0;
  for (const Step& step : step_table()) {
    if (!is_wanted(step, arguments)) continue;
    const int left_s = arguments.limit_s - static_cast<int>((now_ms() - start) / 1e3);
    json result;
    if (left_s >= kLeastSeconds) {
      result = run_step(step, arguments, std::min(step.limit_s, left_s));
    } else {
      StepResult late;
      late.skip("no time was left");
      result = to_json(step.title, 0, late);
    }
    std::printf("%-60s %-8s %6.1f s  %s\n", step.title, result["outcome"].get<std::string>().c_str(),
                result["seconds"].get<double>(), result["why"].get<std::string>().c_str());
    std::fflush(stdout);
    failed += result["outcome"] == "failed" ? 1 : 0;
    record["steps"].push_back(std::move(result));
    record["seconds"] = (now_ms() - start) / 1e3;
    write_record(arguments, record);
  }
  std::printf("%zu steps, %d failed; the record: %s/gpu.md\n", record["steps"].size(), failed,
              arguments.out.c_str());
  return failed > 0 ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (!words.empty() && words[0] == "hold") return run_hold({words.begin() + 1, words.end()});
  if (!words.empty() && words[0] == "serve") return run_serve({words.begin() + 1, words.end()});
  const Arguments arguments = parse_arguments(words);
  if (arguments.command == "all") return run_all(arguments);
  if (arguments.command == "step") return run_one(arguments);
  std::fprintf(stderr,
               "usage: mgpu-gpu-check all|step NAME [--out DIR] [--work DIR] [--quick] [--only A,B] [--limit "
               "SECONDS]\n");
  return kUsage;
}
