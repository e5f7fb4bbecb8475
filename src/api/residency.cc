// An operator's load, unload and park. Each is answered when the residents have reached the wanted state.
#include <algorithm>
#include <utility>

#include "api/api_context.h"
#include "api/notifier.h"
#include "domain/enum_names.h"
#include "sched/step.h"

namespace mgpu::api {
namespace {

namespace asio = boost::asio;

bool is_settled(Residency state) {
  return state == Residency::cold || state == Residency::parked || state == Residency::failed;
}

// The consumer's residents, or the one that was named.
Result<std::vector<ResidentId>> requested_residents(ApiContext& context, const ApiRequest& request) {
  const auto consumer = consumer_from_path(request, context.engine);
  if (!consumer) return std::unexpected(consumer.error());
  std::vector<ResidentId> residents = context.engine.world().registry[*consumer].residents;
  if (const std::string ai_model = query_value(request, "ai_model"); !ai_model.empty()) {
    const auto target = context.engine.resolve(*consumer, ai_model);
    if (!target) return std::unexpected(target.error());
    residents.clear();
    if (target->resident) residents.push_back(*target->resident);
  }
  return residents;
}

asio::awaitable<HandlerResult> evict_residents(ApiContext& context, ApiRequest request, bool park) {
  auto residents = requested_residents(context, request);
  if (!residents) co_return std::unexpected(residents.error());
  const World& world = context.engine.world();
  const auto already_away = [&](ResidentId id) { return is_already_evicted(world.registry[id], park); };
  for (const ResidentId id : *residents)
    if (auto may = check_eviction(world, id, park); !may && !already_away(id))
      co_return std::unexpected(may.error());
  // A resident that holds nothing is evicted too: this keeps it from being loaded again unasked.
  for (const ResidentId id : *residents)
    if (already_away(id))
      if (auto kept = context.engine.evict(id, park); !kept) co_return std::unexpected(kept.error());
  std::erase_if(*residents, already_away);

  Waiter waiter(context.executor, context.notifier, Waiter::Filter::all);
  Duration limit = std::chrono::seconds(5);
  for (const ResidentId id : *residents) {
    // Each of the four rungs may take its limit twice: to answer, and until the memory is seen free.
    limit += world.registry[world.registry[id].consumer].spec.stop_limit * 2 * 4;
    // Stopping the process for the first resident evicts the others with it: those need no request.
    if (check_eviction(world, id, park))
      if (auto begun = context.engine.evict(id, park); !begun) co_return std::unexpected(begun.error());
  }
  const auto until = std::chrono::steady_clock::now() + limit;
  const auto settled = [&](ResidentId id) { return is_settled(world.registry[id].state); };
  const auto came_back = [&](ResidentId id) { return world.registry[id].state == Residency::warm; };
  while (!std::ranges::all_of(*residents, settled)) {
    if (std::chrono::steady_clock::now() >= until || std::ranges::any_of(*residents, came_back))
      co_return fail(ErrorCode::eviction_failed,
                     "the memory of " + request.path_arguments.at("name") +
                         " was not seen to come free; GET /v1/events shows the steps taken");
    co_await waiter.wait(until);
  }
  Json evicted = Json::array();
  for (const ResidentId id : *residents)
    evicted.push_back(
        {{"ai_model", world.registry[id].ai_model}, {"state", to_string(world.registry[id].state)}});
  co_return json_response({{"consumer", request.path_arguments.at("name")}, {"evicted", std::move(evicted)}});
}

}  // namespace

asio::awaitable<HandlerResult> load_consumer(ApiContext& context, ApiRequest request, ResponseStream) {
  const auto consumer = consumer_from_path(request, context.engine);
  if (!consumer) co_return std::unexpected(consumer.error());
  const auto target = context.engine.resolve(*consumer, query_value(request, "ai_model"));
  if (!target) co_return std::unexpected(target.error());
  if (!target->resident)
    co_return fail(ErrorCode::not_supported,
                   "consumer " + request.path_arguments.at("name") +
                       " has neither a service nor a process: there is nothing to load");
  TicketRequest ask{.device = context.engine.world().registry[*consumer].spec.device,
                    .consumer = *consumer,
                    .resident = target->resident,
                    .is_warm_up = true};
  engine::Holder holder{.who = "load from " + request.peer, .principal = request.principal};
  const auto lease = co_await context.engine.acquire(ask, std::move(holder));
  if (!lease) co_return std::unexpected(lease.error());
  const Resident& resident = context.engine.world().registry[*target->resident];
  ApiResponse response = json_response({{"consumer", request.path_arguments.at("name")},
                                        {"ai_model", resident.ai_model},
                                        {"state", to_string(resident.state)},
                                        {"ticket", lease->ticket().value},
                                        {"waited_ms", to_ms(lease->waited())},
                                        {"loading_ms", to_ms(lease->loading())}});
  response.headers = timing_headers(lease->ticket(), lease->waited(), lease->loading());
  co_return response;
}

asio::awaitable<HandlerResult> unload_consumer(ApiContext& context, ApiRequest request, ResponseStream) {
  co_return co_await evict_residents(context, std::move(request), false);
}

asio::awaitable<HandlerResult> park_consumer(ApiContext& context, ApiRequest request, ResponseStream) {
  co_return co_await evict_residents(context, std::move(request), true);
}

}  // namespace mgpu::api
