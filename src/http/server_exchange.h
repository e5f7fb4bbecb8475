// An Exchange on an accepted connection: decodes the request's body, frames the response's, and decides
// whether the connection can serve another request.
#pragma once

#include <cstdint>
#include <string>

#include "http/body_decoder.h"
#include "http/exchange.h"
#include "http/head_parser.h"
#include "http/server_stream.h"

namespace mgpu::http {

class ServerExchange final : public Exchange {
 public:
  ServerExchange(ServerStream& stream, ParsedRequest request);

  const RequestHead& head() const override { return head_; }
  const std::string& peer_address() const override { return stream_.peer().host; }
  std::uint16_t peer_port() const override { return stream_.peer().port; }
  bool is_reserved() const override { return stream_.is_reserved(); }
  boost::asio::awaitable<Result<std::string>> read() override;
  void lift_body_limit() override;
  boost::asio::awaitable<Result<void>> send_head(ResponseHead head) override;
  boost::asio::awaitable<Result<void>> write(std::string piece) override;
  boost::asio::awaitable<void> finish() override;
  void abort() override;
  boost::asio::awaitable<void> wait_until_disconnected() override;

  // Completes what the handler left open: sends 500 if it did not begin a response, calls abort() if it did
  // not finish one.
  boost::asio::awaitable<void> complete_unfinished();

  bool can_serve_next() const { return keep_alive_ && !stream_.is_client_gone(); }

  // Whether bytes of the client may still be in transit; the kernel would answer them with a reset after a
  // close.
  bool client_may_be_sending() const {
    return !body_decoder_.is_complete() || !stream_.received().empty() || broken_off_;
  }
  std::uint64_t announced_bytes_left() const { return body_decoder_.remaining().value_or(0); }

 private:
  boost::asio::awaitable<Result<std::string>> read_body_piece();
  bool can_skip_rest() const;
  boost::asio::awaitable<void> skip_rest();
  bool send_probe();

  ServerStream& stream_;
  RequestHead head_;
  BodyDecoder body_decoder_;
  std::uint64_t max_body_;
  bool http_1_0_;
  bool keep_alive_;
  bool expects_continue_;
  std::string unsent_head_{};  // the response's head, until it is sent with the next piece
  bool response_begun_ = false;
  bool response_finished_ = false;
  bool chunked_ = false;           // the response's body
  bool until_close_ = false;       // the response's body ends with the connection
  bool raw_ = false;               // after a 101
  bool read_in_progress_ = false;  // a coroutine is in read()
  bool body_unreadable_ = false;   // the rest of the body can't be read after an error
  bool broken_off_ = false;        // the connection ends in the middle of the exchange
};

}  // namespace mgpu::http
