#include "service/single_slot_service.h"

namespace mgpu::service {

namespace asio = boost::asio;

asio::awaitable<Result<void>> SingleSlotService::load(const std::string&, Duration limit) {
  const auto loaded = co_await get_loaded_name();
  if (!loaded) co_return std::unexpected(loaded.error());
  std::string wanted = config().ai_model;
  if (!loaded->empty() && (wanted.empty() || is_same_ai_model(*loaded, wanted))) co_return Result<void>{};
  if (wanted.empty())
    co_return fail(
        ErrorCode::load_failed,
        "it has no AI model loaded, and the configuration's key ai_model does not say which one to load");
  co_return co_await load_slot(std::move(wanted), limit);
}

asio::awaitable<Result<void>> SingleSlotService::unload(const std::string&, Duration limit) {
  const auto loaded = co_await get_loaded_name();
  if (!loaded) co_return std::unexpected(loaded.error());
  if (loaded->empty()) co_return Result<void>{};
  co_return co_await unload_slot(limit);
}

asio::awaitable<Result<std::vector<AiModel>>> SingleSlotService::list_ai_models() {
  const auto loaded = co_await get_loaded_name();
  if (!loaded) co_return std::unexpected(loaded.error());
  std::vector<AiModel> all;
  all.push_back({.name = loaded->empty() ? config().ai_model : *loaded, .resident = !loaded->empty()});
  co_return all;
}

}  // namespace mgpu::service
