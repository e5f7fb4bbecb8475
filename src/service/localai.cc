// LocalAI: a backend process for each loaded AI model. Older versions have no load route; there the first
// request loads.
#include "service/service_base.h"

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

constexpr std::int64_t kBusyState = 1;  // `state` of /backend/monitor

std::vector<std::string> parse_loaded_names(const json& system) {
  std::vector<std::string> names;
  for (const json& entry : member_or_null(system, "loaded_models"))
    names.push_back(string_or_empty(entry, "id"));
  return names;
}

class LocalAi final : public ServiceBase {
 public:
  using ServiceBase::ServiceBase;

  asio::awaitable<Result<void>> load(const std::string& ai_model, Duration limit) override {
    std::string what = "loading " + ai_model, path = "/backend/load";
    json body{{"model", ai_model}};
    const auto done = co_await require_success(what, path, body, ErrorCode::load_failed, limit);
    if (!done && done.error().code == ErrorCode::not_found) co_return Result<void>{};  // an older version
    co_return done;
  }

  // LocalAI itself waits up to 30 s for running requests.
  asio::awaitable<Result<void>> unload(const std::string& ai_model, Duration limit) override {
    std::string what = "unloading " + ai_model, path = "/backend/shutdown";
    json body{{"model", ai_model}};
    const auto done = co_await require_success(what, path, body, ErrorCode::service_down, limit);
    if (!done && done.error().code == ErrorCode::not_found) co_return Result<void>{};  // not loaded
    co_return done;
  }

  asio::awaitable<Result<std::uint32_t>> count_active_requests() override {
    const auto loaded = co_await list_loaded_names();
    if (!loaded) co_return std::unexpected(loaded.error());
    std::uint32_t total = 0;
    for (const std::string& name : *loaded) {
      std::string path = "/backend/monitor?model=" + encode_query(name);
      const auto answer = co_await get_json(path);
      if (answer && number_or_zero(*answer, "state") == kBusyState) ++total;
    }
    co_return total;
  }

  asio::awaitable<Result<std::vector<AiModel>>> list_ai_models() override {
    std::string path = "/v1/models";
    const auto known = co_await get_json(path);
    if (!known) co_return std::unexpected(known.error());
    const auto loaded = co_await list_loaded_names();
    if (!loaded) co_return std::unexpected(loaded.error());
    std::vector<AiModel> all;
    for (const json& entry : member_or_null(*known, "data")) all.push_back({string_or_empty(entry, "id")});
    mark_resident(all, *loaded);
    co_return all;
  }

  bool loads_lazily() const override { return true; }
  bool can_unload() const override { return true; }

 private:
  asio::awaitable<Result<std::vector<std::string>>> list_loaded_names() {
    return get_parsed("/system", parse_loaded_names);
  }
};

}  // namespace

std::unique_ptr<Service> make_localai(Address address, const config::ServiceConfig& config) {
  return std::make_unique<LocalAi>(std::move(address), config);
}

}  // namespace mgpu::service
