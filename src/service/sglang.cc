// SGLang: one AI model, whose memory can be released and taken again.
//
// A release while anything runs ends the scheduler, so it is asked whether it is idle. Without
// --enable-memory-saver a release is answered with 200 and frees nothing; without --enable-weights-cpu-backup
// the weights are rubbish after a resume and must be read again. Probing its health computes a token, which
// it can't while its memory is away.
#include <algorithm>

#include "service/application.h"

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

std::uint32_t jobs_in(const json& loads) {
  double total = 0;
  for (const json& rank : member(loads, "loads"))
    total += static_cast<double>(number_at(rank, "num_running_reqs") + number_at(rank, "num_waiting_reqs"));
  return as_count(total);
}

class Sglang final : public Application {
 public:
  using Application::Application;

  asio::awaitable<Health> healthy() override {
    std::string path = released_ ? "/model_info" : config().health;
    co_return co_await health_at(std::move(path), 200);
  }

  asio::awaitable<Result<void>> load(const std::string&, Duration limit) override {
    co_return co_await take_again(limit);
  }
  asio::awaitable<Result<void>> resume(const std::string&, Duration limit) override {
    co_return co_await take_again(limit);
  }
  asio::awaitable<Result<void>> unload(const std::string&, Duration limit) override {
    co_return co_await release(limit);
  }
  asio::awaitable<Result<void>> park(const std::string&, Duration limit) override {
    co_return co_await release(limit);
  }

  asio::awaitable<Result<std::uint32_t>> at_work() override {
    return told("/v1/loads?include=core", jobs_in);
  }

  asio::awaitable<Result<std::vector<AiModel>>> list() override {
    std::string path = "/v1/models";
    const auto answer = co_await ask_json(path);
    if (!answer) co_return std::unexpected(answer.error());
    std::vector<AiModel> all;
    for (const json& entry : member(*answer, "data")) all.push_back({text_at(entry, "id"), !released_});
    co_return all;
  }

  bool can_unload() const override { return true; }
  bool can_park() const override { return true; }

 private:
  Done release(Duration limit) {
    if (released_) co_return Result<void>{};
    std::string path = "/server_info";
    const auto started_with = co_await ask_json(path);
    if (!started_with) co_return std::unexpected(started_with.error());
    if (member(*started_with, "enable_memory_saver") == false)
      co_return fail(ErrorCode::not_supported,
                     "this SGLang can't release its memory: start it with "
                     "--enable-memory-saver");
    const auto busy = co_await at_work();
    if (!busy) co_return std::unexpected(busy.error());
    if (*busy > 0)
      co_return fail(ErrorCode::busy, "SGLang is at work; releasing its memory now would end it");
    std::string what = "releasing SGLang's memory", to = "/release_memory_occupation";
    json body = tags();
    auto done = co_await demand(what, to, body, ErrorCode::service_down, limit);
    if (done) released_ = true;
    co_return done;
  }

  // Only tags that were released may be taken again.
  Done take_again(Duration limit) {
    if (!released_) co_return Result<void>{};
    std::string what = "taking SGLang's memory again", to = "/resume_memory_occupation";
    json body = tags();
    auto done = co_await demand(what, to, body, ErrorCode::load_failed, limit);
    if (!done) co_return done;
    released_ = false;
    co_return co_await read_weights_again(limit);
  }

  Done read_weights_again(Duration limit) {
    const auto& tags = config().memory_tags;
    const bool were_released = tags.empty() || std::find(tags.begin(), tags.end(), "weights") != tags.end();
    std::string path = "/server_info";
    const auto started_with = co_await ask_json(path);
    if (!started_with) co_return std::unexpected(started_with.error());
    if (!were_released || member(*started_with, "enable_weights_cpu_backup") == true)
      co_return Result<void>{};
    std::string what = "reading SGLang's weights again", to = "/update_weights_from_disk";
    json body{{"model_path", text_at(*started_with, "model_path")}};
    co_return co_await demand(what, to, body, ErrorCode::load_failed, limit);
  }

  json tags() const {
    json body = json::object();
    if (!config().memory_tags.empty()) body["tags"] = config().memory_tags;
    return body;
  }

  bool released_ = false;  // it does not tell; a daemon that was started anew takes it for warm
};

}  // namespace

std::unique_ptr<Service> make_sglang(Address address, const config::ServiceConfig& config) {
  return std::make_unique<Sglang>(std::move(address), config);
}

}  // namespace mgpu::service
