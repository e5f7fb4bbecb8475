#include "households.h"

#include "dice.h"

namespace mgpu::bench {
namespace {

using replay::Flow;
using replay::FlowStep;
using replay::Workload;

constexpr Instant kStart{2'000'000};
constexpr double kFourHours = 4 * 3600;
constexpr double kTools = 15;  // seconds that an agent is busy with its tools between two calls

struct Resident {
  std::string_view name{};
  ConsumerKind kind{};
  double gib = 0;
  double working_gib = 0;
  double load_seconds = 0;
};

// In the order of the ids below.
constexpr Resident kResidents[] = {
    {"stt", ConsumerKind::stt, 3, 0.3, 4},           {"chat", ConsumerKind::llm, 9, 1, 12},
    {"tts", ConsumerKind::tts, 2.5, 0.3, 4},         {"coder", ConsumerKind::llm, 17, 1.5, 20},
    {"embed", ConsumerKind::embedding, 1.5, 0.2, 3}, {"vision", ConsumerKind::llm, 8, 1, 11},
    {"image", ConsumerKind::image, 12, 2, 15},
};
enum Who : std::uint64_t { stt, chat, tts, coder, embed, vision, image };

Bytes gib(double amount) { return {static_cast<std::int64_t>(amount * static_cast<double>(kGiB.count))}; }

FlowStep step(double pause, Who who, double work) {
  return {.pause = seconds(pause), .consumer = {who}, .resident = ResidentId{who}, .work = seconds(work)};
}

Instant at(double second) { return kStart + seconds(second); }

class Town {
 public:
  explicit Town(std::uint64_t seed) : dice_(seed) { workload_.horizon = at(kFourHours); }

  // Dialogues begin every so often; an exchange is heard, answered and spoken, then the person thinks.
  void voice(double every, double think) {
    for (double t = dice_.exponential(every); t < kFourHours; t += dice_.exponential(every)) {
      Flow flow = somebody(t);
      const int exchanges = dice_.whole(4, 10);
      for (int i = 0; i < exchanges; ++i) {
        flow.steps.push_back(step(i == 0 ? 0 : 3 + dice_.exponential(think), stt, dice_.between(0.3, 1)));
        flow.steps.push_back(step(0.05, chat, dice_.between(1.5, 4)));
        flow.steps.push_back(step(0.05, tts, dice_.between(0.7, 2)));
      }
      workload_.flows.push_back(std::move(flow));
    }
  }

  // A burst is a person who programs for a while: some context is embedded, then completions follow.
  void coding(double every, double pause) {
    for (double t = dice_.exponential(every); t < kFourHours; t += dice_.exponential(every)) {
      Flow flow = somebody(t);
      const int requests = dice_.whole(6, 16);
      for (int i = 0; i < requests; ++i) {
        if (i % 6 == 0) flow.steps.push_back(step(dice_.exponential(pause), embed, dice_.between(0.2, 0.6)));
        flow.steps.push_back(step(dice_.exponential(pause), coder, dice_.between(4, 16)));
      }
      workload_.flows.push_back(std::move(flow));
    }
  }

  // An agent goes round four AI models until its task is done, then rests.
  void agent(double rest) {
    Flow flow = somebody(dice_.exponential(rest));
    for (double t = 0; t < kFourHours;) {
      const int rounds = dice_.whole(3, 9);
      for (int i = 0; i < rounds; ++i) {
        const double pause = i == 0 ? dice_.exponential(rest) : dice_.exponential(kTools);
        flow.steps.push_back(step(pause, chat, dice_.between(1, 4)));
        flow.steps.push_back(step(dice_.exponential(kTools), embed, dice_.between(0.2, 0.6)));
        flow.steps.push_back(step(dice_.exponential(kTools), coder, dice_.between(2, 6)));
        flow.steps.push_back(step(dice_.exponential(kTools), vision, dice_.between(0.5, 2)));
        t += pause;
      }
    }
    workload_.flows.push_back(std::move(flow));
  }

  // People who know nothing of each other: one request each.
  void independent(Who who, double every, double work_low, double work_high) {
    for (double t = dice_.exponential(every); t < kFourHours; t += dice_.exponential(every)) {
      Flow flow = somebody(t);
      flow.user = 1000 + static_cast<std::uint32_t>(dice_.whole(0, 19));
      flow.steps.push_back(step(0, who, dice_.between(work_low, work_high)));
      workload_.flows.push_back(std::move(flow));
    }
  }

  Workload done() { return std::move(workload_); }

 private:
  Flow somebody(double second) { return {.start = at(second), .user = ++last_user_, .steps = {}}; }

  Dice dice_;
  Workload workload_{};
  std::uint32_t last_user_ = 0;
};

}  // namespace

replay::Machine household() {
  replay::Machine house;
  const DeviceId device =
      replay::add_device(house, {.name = "gpu0", .capacity = 1, .reserve = kMiB * 512}, kGiB * 24);
  for (const Resident& resident : kResidents)
    replay::add_consumer(house,
                         {.name = std::string(resident.name),
                          .kind = resident.kind,
                          .device = device,
                          .footprint = gib(resident.gib),
                          .working = gib(resident.working_gib),
                          .can_unload = true,
                          .can_stop = true},
                         replay::costs_from_cold(seconds(resident.load_seconds)));
  // Nobody gives up, so that a rule can't look good by losing the patient.
  house.world.limits.max_queue = 1'000'000;
  house.world.limits.wait_limit = std::chrono::hours{48};
  return house;
}

const std::vector<std::string_view>& household_names() {
  static const std::vector<std::string_view> names{"voice", "agents", "independent"};
  return names;
}

replay::Workload household_workload(std::string_view name, std::uint64_t seed) {
  Town town(seed);
  if (name == "voice") {
    town.voice(215, 6);
    town.coding(430, 10);
  } else if (name == "agents") {
    for (int i = 0; i < 13; ++i) town.agent(120);
  } else {
    town.independent(chat, 180, 3, 9);
    town.independent(coder, 600, 4, 12);
    town.independent(vision, 700, 1, 4);
    town.independent(image, 1200, 5, 15);
    town.independent(embed, 200, 0.2, 0.8);
    town.independent(stt, 300, 0.3, 1);
    town.independent(tts, 300, 0.7, 2);
  }
  return town.done();
}

}  // namespace mgpu::bench
