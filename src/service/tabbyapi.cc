// TabbyAPI: one AI model at a time. A load is answered with 200 at once and reports its progress, and its
// failure, as server-sent events. Unloading breaks off running requests.
#include "service/out_of_memory.h"
#include "service/single_slot_service.h"

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

class TabbyApi final : public SingleSlotService {
 public:
  using SingleSlotService::SingleSlotService;

 protected:
  asio::awaitable<Result<std::string>> get_loaded_name() override {
    std::string path = "/v1/model";
    const auto answer = co_await get(path);
    if (!answer) co_return std::unexpected(answer.error());
    if (answer->status == 503) co_return std::string{};  // none is loaded
    if (answer->status != 200)
      co_return std::unexpected(response_error("GET " + path, *answer, ErrorCode::service_down));
    co_return string_or_empty(json::parse(answer->body, nullptr, false), "id");
  }

  AsyncResult load_slot(std::string ai_model, Duration limit) override {
    std::string path = "/v1/model/load";
    json body{{"model_name", ai_model}};
    const auto answer = co_await post(path, body, limit);
    if (!answer) co_return std::unexpected(answer.error());
    if (answer->status != 200)
      co_return std::unexpected(response_error("loading " + ai_model, *answer, ErrorCode::load_failed));
    co_return parse_load_events(ai_model, answer->body);
  }

  AsyncResult unload_slot(Duration limit) override { return unload_by_post("/v1/model/unload", limit); }

 private:
  Result<void> parse_load_events(const std::string& ai_model, const std::string& events) const {
    bool finished = false;
    for (std::size_t at = events.find("data:"); at != events.npos; at = events.find("data:", at + 1)) {
      const auto event = json::parse(events.substr(at + 5, events.find('\n', at) - at - 5), nullptr, false);
      if (const json& error = member_or_null(event, "error"); !error.is_null()) {
        const auto error_text = error.dump();
        const auto code = log_says_out_of_memory(config().type, error_text) ? ErrorCode::out_of_memory
                                                                            : ErrorCode::load_failed;
        return fail(code, std::string("loading ").append(ai_model).append(": ").append(error_text));
      }
      finished = finished || string_or_empty(event, "status") == "finished";
    }
    if (!finished)
      return fail(ErrorCode::load_failed,
                  "loading " + ai_model + ": TabbyAPI's answer ended before it reported \"finished\"");
    return {};
  }
};

}  // namespace

std::unique_ptr<Service> make_tabbyapi(Address address, const config::ServiceConfig& config) {
  return std::make_unique<TabbyApi>(std::move(address), config);
}

}  // namespace mgpu::service
