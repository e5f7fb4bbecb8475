// An operator's load, unload and park: each answers when what was asked for is so.
#include <algorithm>
#include <utility>

#include "api/desk.h"
#include "api/notifier.h"
#include "domain/enum_names.h"
#include "sched/step.h"

namespace mgpu::api {
namespace {

namespace asio = boost::asio;

std::string ai_model_in(const Call& call) {
  const auto found = call.query.find("ai_model");
  return found == call.query.end() ? "" : found->second;
}

bool is_settled(Residency state) {
  return state == Residency::cold || state == Residency::parked || state == Residency::failed;
}

// The consumer's residents, or the one that was named.
Result<std::vector<ResidentId>> residents_meant(Desk& desk, const Call& call) {
  const auto consumer = consumer_in(call, desk.engine);
  if (!consumer) return std::unexpected(consumer.error());
  std::vector<ResidentId> residents = desk.engine.world().registry[*consumer].residents;
  if (const std::string ai_model = ai_model_in(call); !ai_model.empty()) {
    const auto target = desk.engine.resolve(*consumer, ai_model);
    if (!target) return std::unexpected(target.error());
    residents.clear();
    if (target->resident) residents.push_back(*target->resident);
  }
  return residents;
}

asio::awaitable<Answer> evict(Desk& desk, Call call, bool park) {
  auto residents = residents_meant(desk, call);
  if (!residents) co_return std::unexpected(residents.error());
  const World& world = desk.engine.world();
  const auto away = [&](ResidentId id) { return is_already_evicted(world.registry[id], park); };
  for (const ResidentId id : *residents)
    if (auto may = check_eviction(world, id, park); !may && !away(id)) co_return std::unexpected(may.error());
  // Who holds nothing is told all the same: it shall not come back by habit.
  for (const ResidentId id : *residents)
    if (away(id))
      if (auto kept = desk.engine.evict(id, park); !kept) co_return std::unexpected(kept.error());
  std::erase_if(*residents, away);

  Waiter waiter(desk.executor, desk.notifier, Waiter::For::routine_too);
  Duration limit = std::chrono::seconds(5);
  for (const ResidentId id : *residents) {
    // Every rung may take its limit twice: to answer, and to show the memory free.
    limit += world.registry[world.registry[id].consumer].spec.stop_limit * 2 * 4;
    // Stopping the process for the first takes the others along: what is on its way needs no second request.
    if (check_eviction(world, id, park))
      if (auto begun = desk.engine.evict(id, park); !begun) co_return std::unexpected(begun.error());
  }
  const auto until = std::chrono::steady_clock::now() + limit;
  const auto settled = [&](ResidentId id) { return is_settled(world.registry[id].state); };
  const auto came_back = [&](ResidentId id) { return world.registry[id].state == Residency::warm; };
  while (!std::ranges::all_of(*residents, settled)) {
    if (std::chrono::steady_clock::now() >= until || std::ranges::any_of(*residents, came_back))
      co_return fail(ErrorCode::eviction_failed, "its memory was not seen to come free; see GET /v1/events");
    co_await waiter.wait(until);
  }
  Json evicted = Json::array();
  for (const ResidentId id : *residents)
    evicted.push_back(
        {{"ai_model", world.registry[id].ai_model}, {"state", to_string(world.registry[id].state)}});
  co_return json_reply({{"consumer", call.arguments.at("name")}, {"evicted", std::move(evicted)}});
}

}  // namespace

asio::awaitable<Answer> load_consumer(Desk& desk, Call call, Outlet) {
  const auto consumer = consumer_in(call, desk.engine);
  if (!consumer) co_return std::unexpected(consumer.error());
  const auto target = desk.engine.resolve(*consumer, ai_model_in(call));
  if (!target) co_return std::unexpected(target.error());
  if (!target->resident)
    co_return fail(ErrorCode::not_supported, "it has neither service nor process: there is nothing to load");
  TicketRequest ask{.device = desk.engine.world().registry[*consumer].spec.device,
                    .consumer = *consumer,
                    .resident = target->resident,
                    .is_warm_up = true};
  engine::Holder holder{.who = "load from " + call.peer};
  const auto lease = co_await desk.engine.acquire(ask, std::move(holder));
  if (!lease) co_return std::unexpected(lease.error());
  const Resident& resident = desk.engine.world().registry[*target->resident];
  Reply reply = json_reply({{"consumer", call.arguments.at("name")},
                            {"ai_model", resident.ai_model},
                            {"state", to_string(resident.state)},
                            {"ticket", lease->ticket().value},
                            {"waited_ms", to_ms(lease->waited())},
                            {"loading_ms", to_ms(lease->loading())}});
  reply.headers = timing_headers(lease->ticket(), lease->waited(), lease->loading());
  co_return reply;
}

asio::awaitable<Answer> unload_consumer(Desk& desk, Call call, Outlet) {
  co_return co_await evict(desk, std::move(call), false);
}

asio::awaitable<Answer> park_consumer(Desk& desk, Call call, Outlet) {
  co_return co_await evict(desk, std::move(call), true);
}

}  // namespace mgpu::api
