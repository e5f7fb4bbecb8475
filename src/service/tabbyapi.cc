// TabbyAPI: one AI model at a time. Its load tells how it goes as server-sent events: 200 comes at once, the
// failure, if there is one, as an event. Unloading cuts running work off.
#include "service/one_slot.h"
#include "service/out_of_memory.h"

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

class TabbyApi final : public OneSlot {
 public:
  using OneSlot::OneSlot;

 protected:
  asio::awaitable<Result<std::string>> held() override {
    std::string path = "/v1/model";
    const auto answer = co_await ask(path);
    if (!answer) co_return std::unexpected(answer.error());
    if (answer->status == 503) co_return std::string{};  // none is loaded
    if (answer->status != 200)
      co_return std::unexpected(refused("GET " + path, *answer, ErrorCode::service_down));
    co_return text_at(json::parse(answer->body, nullptr, false), "id");
  }

  Done put(std::string ai_model, Duration limit) override {
    std::string path = "/v1/model/load";
    json body{{"model_name", ai_model}};
    const auto answer = co_await post(path, body, limit);
    if (!answer) co_return std::unexpected(answer.error());
    if (answer->status != 200)
      co_return std::unexpected(refused("loading " + ai_model, *answer, ErrorCode::load_failed));
    co_return how_it_ended(ai_model, answer->body);
  }

  Done clear(Duration limit) override {
    std::string what = "unloading", path = "/v1/model/unload";
    json body = json::object();
    co_return co_await demand(what, path, body, ErrorCode::service_down, limit);
  }

 private:
  Result<void> how_it_ended(const std::string& ai_model, const std::string& events) const {
    bool finished = false;
    for (std::size_t at = events.find("data:"); at != events.npos; at = events.find("data:", at + 1)) {
      const auto event = json::parse(events.substr(at + 5, events.find('\n', at) - at - 5), nullptr, false);
      if (const json& error = member(event, "error"); !error.is_null()) {
        const auto said = error.dump();
        const auto code =
            log_says_out_of_memory(config().type, said) ? ErrorCode::out_of_memory : ErrorCode::load_failed;
        return fail(code, std::string("loading ").append(ai_model).append(": ").append(said));
      }
      finished = finished || text_at(event, "status") == "finished";
    }
    if (!finished)
      return fail(ErrorCode::load_failed, "loading " + ai_model + " broke off before it was finished");
    return {};
  }
};

}  // namespace

std::unique_ptr<Service> make_tabbyapi(Address address, const config::ServiceConfig& config) {
  return std::make_unique<TabbyApi>(std::move(address), config);
}

}  // namespace mgpu::service
