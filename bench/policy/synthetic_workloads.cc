#include "synthetic_workloads.h"

#include "random_source.h"

namespace mgpu::bench {
namespace {

using replay::Flow;
using replay::FlowStep;
using replay::Workload;

constexpr Instant kStart{2'000'000};
constexpr double kFourHours = 4 * 3600;
constexpr double kMeanToolSeconds = 15;  // time that an agent spends with its tools between two calls

struct ConsumerSpec {
  std::string_view name{};
  ConsumerKind kind{};
  double gib = 0;
  double working_gib = 0;
  double load_seconds = 0;
};

// In the order of ConsumerIndex.
constexpr ConsumerSpec kConsumers[] = {
    {"stt", ConsumerKind::stt, 3, 0.3, 4},           {"chat", ConsumerKind::llm, 9, 1, 12},
    {"tts", ConsumerKind::tts, 2.5, 0.3, 4},         {"coder", ConsumerKind::llm, 17, 1.5, 20},
    {"embed", ConsumerKind::embedding, 1.5, 0.2, 3}, {"vision", ConsumerKind::llm, 8, 1, 11},
    {"image", ConsumerKind::image, 12, 2, 15},
};
enum ConsumerIndex : std::uint64_t { stt, chat, tts, coder, embed, vision, image };

Bytes gib(double amount) { return {static_cast<std::int64_t>(amount * static_cast<double>(kGiB.count))}; }

FlowStep make_step(double pause, ConsumerIndex consumer, double work) {
  return {.pause = seconds(pause),
          .consumer = {consumer},
          .resident = ResidentId{consumer},
          .work = seconds(work)};
}

Instant time_at(double second) { return kStart + seconds(second); }

class WorkloadGenerator {
 public:
  explicit WorkloadGenerator(std::uint64_t seed) : random_(seed) { workload_.horizon = time_at(kFourHours); }

  // Dialogues start at random intervals. An exchange is transcribed, answered and spoken; then the user
  // thinks.
  void add_voice_dialogues(double mean_interval, double mean_think) {
    for (double t = random_.exponential(mean_interval); t < kFourHours;
         t += random_.exponential(mean_interval)) {
      Flow flow = new_user_flow(t);
      const int exchanges = random_.integer_between(4, 10);
      for (int i = 0; i < exchanges; ++i) {
        flow.steps.push_back(make_step(i == 0 ? 0 : 3 + random_.exponential(mean_think), stt,
                                       random_.uniform_between(0.3, 1)));
        flow.steps.push_back(make_step(0.05, chat, random_.uniform_between(1.5, 4)));
        flow.steps.push_back(make_step(0.05, tts, random_.uniform_between(0.7, 2)));
      }
      workload_.flows.push_back(std::move(flow));
    }
  }

  // A burst is a user who programs for a while: context is embedded, then completions follow.
  void add_coding_bursts(double mean_interval, double mean_pause) {
    for (double t = random_.exponential(mean_interval); t < kFourHours;
         t += random_.exponential(mean_interval)) {
      Flow flow = new_user_flow(t);
      const int requests = random_.integer_between(6, 16);
      for (int i = 0; i < requests; ++i) {
        if (i % 6 == 0)
          flow.steps.push_back(
              make_step(random_.exponential(mean_pause), embed, random_.uniform_between(0.2, 0.6)));
        flow.steps.push_back(
            make_step(random_.exponential(mean_pause), coder, random_.uniform_between(4, 16)));
      }
      workload_.flows.push_back(std::move(flow));
    }
  }

  // An agent calls four AI models in turn until its task is done, then pauses.
  void add_agent(double mean_rest) {
    Flow flow = new_user_flow(random_.exponential(mean_rest));
    for (double t = 0; t < kFourHours;) {
      const int rounds = random_.integer_between(3, 9);
      for (int i = 0; i < rounds; ++i) {
        const double pause = i == 0 ? random_.exponential(mean_rest) : random_.exponential(kMeanToolSeconds);
        flow.steps.push_back(make_step(pause, chat, random_.uniform_between(1, 4)));
        flow.steps.push_back(
            make_step(random_.exponential(kMeanToolSeconds), embed, random_.uniform_between(0.2, 0.6)));
        flow.steps.push_back(
            make_step(random_.exponential(kMeanToolSeconds), coder, random_.uniform_between(2, 6)));
        flow.steps.push_back(
            make_step(random_.exponential(kMeanToolSeconds), vision, random_.uniform_between(0.5, 2)));
        t += pause;
      }
    }
    workload_.flows.push_back(std::move(flow));
  }

  // Independent users with one request each.
  void add_independent_requests(ConsumerIndex consumer, double mean_interval, double work_low,
                                double work_high) {
    for (double t = random_.exponential(mean_interval); t < kFourHours;
         t += random_.exponential(mean_interval)) {
      Flow flow = new_user_flow(t);
      flow.user = 1000 + static_cast<std::uint32_t>(random_.integer_between(0, 19));
      flow.steps.push_back(make_step(0, consumer, random_.uniform_between(work_low, work_high)));
      workload_.flows.push_back(std::move(flow));
    }
  }

  Workload take_workload() { return std::move(workload_); }

 private:
  Flow new_user_flow(double second) { return {.start = time_at(second), .user = ++last_user_, .steps = {}}; }

  RandomSource random_;
  Workload workload_{};
  std::uint32_t last_user_ = 0;
};

}  // namespace

replay::Machine synthetic_machine() {
  replay::Machine machine;
  const DeviceId device =
      replay::add_device(machine, {.name = "gpu0", .capacity = 1, .reserve = kMiB * 512}, kGiB * 24);
  for (const ConsumerSpec& consumer : kConsumers)
    replay::add_consumer(machine,
                         {.name = std::string(consumer.name),
                          .kind = consumer.kind,
                          .device = device,
                          .footprint = gib(consumer.gib),
                          .working = gib(consumer.working_gib),
                          .can_unload = true,
                          .can_stop = true},
                         replay::costs_from_cold(seconds(consumer.load_seconds)));
  // No ticket is refused, so that a rule can't gain by refusing those that wait long.
  machine.world.limits.max_queue = 1'000'000;
  machine.world.limits.wait_limit = std::chrono::hours{48};
  return machine;
}

const std::vector<std::string_view>& synthetic_trace_names() {
  static const std::vector<std::string_view> names{"voice", "agents", "independent"};
  return names;
}

replay::Workload synthetic_workload(std::string_view name, std::uint64_t seed) {
  WorkloadGenerator generator(seed);
  if (name == "voice") {
    generator.add_voice_dialogues(215, 6);
    generator.add_coding_bursts(430, 10);
  } else if (name == "agents") {
    for (int i = 0; i < 13; ++i) generator.add_agent(120);
  } else {
    generator.add_independent_requests(chat, 180, 3, 9);
    generator.add_independent_requests(coder, 600, 4, 12);
    generator.add_independent_requests(vision, 700, 1, 4);
    generator.add_independent_requests(image, 1200, 5, 15);
    generator.add_independent_requests(embed, 200, 0.2, 0.8);
    generator.add_independent_requests(stt, 300, 0.3, 1);
    generator.add_independent_requests(tts, 300, 0.7, 2);
  }
  return generator.take_workload();
}

}  // namespace mgpu::bench
