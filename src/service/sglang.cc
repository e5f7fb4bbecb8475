// SGLang: one AI model, whose memory can be released and resumed.
//
// A release during a request ends the scheduler, so the load is read first. Without --enable-memory-saver a
// release is answered with 200 and frees nothing; without --enable-weights-cpu-backup the weights are invalid
// after a resume and must be read again. The health route computes a token, which fails while the memory is
// released.
#include <algorithm>

#include "service/service_base.h"

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

std::uint32_t parse_job_count(const json& loads) {
  double total = 0;
  for (const json& rank : member_or_null(loads, "loads"))
    total += static_cast<double>(number_or_zero(rank, "num_running_reqs") +
                                 number_or_zero(rank, "num_waiting_reqs"));
  return count_from_number(total);
}

class Sglang final : public ServiceBase {
 public:
  Sglang(Address address, const config::ServiceConfig& config)
      : ServiceBase(std::move(address), config,
                    {.active_requests = {"/v1/loads?include=core", parse_job_count}}) {}

  asio::awaitable<Health> check_health() override {
    std::string path = released_ ? "/model_info" : config().health;
    return probe_health(std::move(path), 200);
  }

  asio::awaitable<Result<void>> load(const std::string&, Duration limit) override {
    return resume_memory(limit);
  }
  asio::awaitable<Result<void>> resume(const std::string&, Duration limit) override {
    return resume_memory(limit);
  }
  asio::awaitable<Result<void>> unload(const std::string&, Duration limit) override {
    return release_memory(limit);
  }
  asio::awaitable<Result<void>> park(const std::string&, Duration limit) override {
    return release_memory(limit);
  }

  asio::awaitable<Result<std::vector<AiModel>>> list_ai_models() override {
    std::string path = "/v1/models";
    const auto answer = co_await get_json(path);
    if (!answer) co_return std::unexpected(answer.error());
    std::vector<AiModel> all;
    for (const json& entry : member_or_null(*answer, "data"))
      all.push_back({.name = string_or_empty(entry, "id"), .resident = !released_, .parked = released_});
    co_return all;
  }

  bool can_unload() const override { return true; }
  bool can_park() const override { return true; }

 private:
  AsyncResult release_memory(Duration limit) {
    if (released_) co_return Result<void>{};
    std::string path = "/server_info";
    const auto server_info = co_await get_json(path);
    if (!server_info) co_return std::unexpected(server_info.error());
    if (member_or_null(*server_info, "enable_memory_saver") == false)
      co_return fail(ErrorCode::not_supported,
                     "this SGLang can't release its memory: start it with --enable-memory-saver");
    const auto busy = co_await count_active_requests();
    if (!busy) co_return std::unexpected(busy.error());
    if (*busy > 0)
      co_return fail(ErrorCode::busy, "SGLang has active requests; releasing its memory now would end it");
    std::string what = "releasing SGLang's memory", release_path = "/release_memory_occupation";
    json body = tags_body();
    auto done = co_await require_success(what, release_path, body, ErrorCode::service_down, limit);
    if (done) released_ = true;
    co_return done;
  }

  // SGLang refuses to resume tags that were not released.
  AsyncResult resume_memory(Duration limit) {
    if (!released_) co_return Result<void>{};
    std::string what = "resuming SGLang's memory", resume_path = "/resume_memory_occupation";
    json body = tags_body();
    auto done = co_await require_success(what, resume_path, body, ErrorCode::load_failed, limit);
    if (!done) co_return done;
    released_ = false;
    co_return co_await reload_weights(limit);
  }

  AsyncResult reload_weights(Duration limit) {
    const auto& tags = config().memory_tags;
    const bool weights_released =
        tags.empty() || std::find(tags.begin(), tags.end(), "weights") != tags.end();
    std::string path = "/server_info";
    const auto server_info = co_await get_json(path);
    if (!server_info) co_return std::unexpected(server_info.error());
    if (!weights_released || member_or_null(*server_info, "enable_weights_cpu_backup") == true)
      co_return Result<void>{};
    std::string what = "reading SGLang's weights again", update_path = "/update_weights_from_disk";
    json body{{"model_path", string_or_empty(*server_info, "model_path")}};
    co_return co_await require_success(what, update_path, body, ErrorCode::load_failed, limit);
  }

  json tags_body() const {
    json body = json::object();
    if (!config().memory_tags.empty()) body["tags"] = config().memory_tags;
    return body;
  }

  bool released_ = false;  // SGLang does not report it; after a restart of the daemon it counts as warm
};

}  // namespace

std::unique_ptr<Service> make_sglang(Address address, const config::ServiceConfig& config) {
  return std::make_unique<Sglang>(std::move(address), config);
}

}  // namespace mgpu::service
