// The data plane: a request comes in, waits in the line for its consumer, is forwarded, and its answer
// streams back byte for byte. Here stands the story; which bytes mean what is in the files beside it.
#pragma once

#include <memory>
#include <string_view>

#include "config/config.h"
#include "gateway/desk.h"
#include "gateway/early_body.h"
#include "gateway/model_finder.h"
#include "gateway/route.h"
#include "gateway/upload_rate.h"
#include "gateway/wire.h"

namespace mgpu::gateway {

class Gateway {
 public:
  Gateway(engine::Engine& engine, http::Client& client);  // both must outlive it
  Gateway(Desk desk, Connect connect, config::LimitsConfig limits);

  // Whether a request is the data plane's; all others are the control plane's.
  bool takes(std::string_view method, std::string_view target) const;

  // From the request's head to the end of its answer; REQUIRES takes(). Every failure is told to the caller
  // in its own protocol. A lease may outlive it while the application still computes. `this` must outlive
  // that.
  Awaitable<void> serve(http::Exchange& exchange);
  Awaitable<void> serve(Caller& caller);

 private:
  struct Passage;  // one request on its way

  Awaitable<Result<void>> name_consumer(Passage& passage);
  Awaitable<Result<void>> find_model(Passage& passage, ModelFinder& finder);
  Awaitable<Result<std::string>> read_early(Passage& passage);
  Awaitable<Result<void>> fill_memory(Passage& passage);
  Error unknown_consumer(const std::string& name) const;
  Awaitable<Result<Held>> wait_in_line(Passage& passage);
  Awaitable<Result<void>> forward(Passage& passage);
  Awaitable<Result<void>> once_more(Passage& passage);
  Awaitable<void> send_body(Passage& passage);
  Awaitable<void> pump_body(Passage& passage);
  Awaitable<void> watch_upload_rate(Passage& passage);
  Awaitable<void> bring_answer(Passage& passage);
  Awaitable<void> tunnel(Passage& passage);
  Awaitable<Result<std::string>> judge(Passage& passage, const ResponseHead& head);
  Awaitable<void> give_back(Held held, ConsumerId consumer);
  Awaitable<void> answer_here(Caller& caller, Route route);
  Awaitable<void> show(Passage& passage);
  Awaitable<void> tell(Passage& passage, Error error);

  Desk desk_;
  Connect connect_;
  config::LimitsConfig limits_;
  std::shared_ptr<BodyBudget> budget_;  // of all requests that wait; shared with each
};

}  // namespace mgpu::gateway
