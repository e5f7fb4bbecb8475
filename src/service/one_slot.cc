#include "service/one_slot.h"

namespace mgpu::service {

namespace asio = boost::asio;

asio::awaitable<Result<void>> OneSlot::load(const std::string&, Duration limit) {
  const auto now = co_await held();
  if (!now) co_return std::unexpected(now.error());
  std::string wanted = config().ai_model;
  if (!now->empty() && (wanted.empty() || is_called(*now, wanted))) co_return Result<void>{};
  if (wanted.empty())
    co_return fail(ErrorCode::load_failed, "it holds no AI model; the key ai_model says which one to load");
  co_return co_await put(std::move(wanted), limit);
}

asio::awaitable<Result<void>> OneSlot::unload(const std::string&, Duration limit) {
  const auto now = co_await held();
  if (!now) co_return std::unexpected(now.error());
  if (now->empty()) co_return Result<void>{};
  co_return co_await clear(limit);
}

asio::awaitable<Result<std::vector<AiModel>>> OneSlot::list() {
  const auto now = co_await held();
  if (!now) co_return std::unexpected(now.error());
  std::vector<AiModel> all;
  all.push_back({.name = now->empty() ? config().ai_model : *now, .resident = !now->empty()});
  co_return all;
}

}  // namespace mgpu::service
