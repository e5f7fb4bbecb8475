// Strict incremental HTTP/1.1 parsers: what the daemon sends to either side must be unambiguous. `problem`
// describes the first violation.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mgpu::faults {

struct Message {
  std::string method{}, target{};  // of a request
  int status = 0;                  // of an answer
  std::vector<std::pair<std::string, std::string>> headers{};
  std::string body{};
  bool http_1_0 = false;
  bool until_close = false;  // its body ends with the connection
  bool complete = false;

  std::string_view header(std::string_view name) const;
  bool closes_connection() const;  // has `Connection: close`, or a body that ends with the connection
};

// The common part of requests and answers: a head, then a body by length, by chunks or until the end.
class MessageReader {
 public:
  virtual ~MessageReader() = default;
  void feed(std::string_view bytes);
  void end_of_stream(bool reset);  // the connection ended

  std::vector<Message> messages{};  // requests, or final answers; the last one may be incomplete
  int interim_count = 0;            // 1xx answers
  std::string raw{};                // after a 101
  bool is_raw = false;
  std::string problem{};
  std::size_t complete_count() const;

 protected:
  enum class Framing { none, length, chunks, until_close };
  // Sets how the body of `message` is framed; false for an interim answer, whose head is dropped.
  virtual bool frame_body(Message& message, Framing& framing) = 0;
  virtual bool parse_first_line(std::string_view line, Message& message) = 0;
  virtual bool is_message_due() { return true; }  // whether a further message is expected

  void set_problem(std::string what);

 private:
  enum class State { head, length, chunk_size, chunk, chunk_end, trailers, until_close, raw, bad };
  void read_head(std::string_view head);
  bool read_part();

  State state_ = State::head;
  std::string buffer_;
  std::size_t read_offset_ = 0;  // parsed part of the buffer
  std::size_t bytes_left_ = 0;
};

class RequestReader final : public MessageReader {
 public:
  std::function<bool(const Message&)> is_upgrade{};  // whether the service switches protocols after it

 protected:
  bool parse_first_line(std::string_view line, Message& message) override;
  bool frame_body(Message& message, Framing& framing) override;
};

class ResponseReader final : public MessageReader {
 public:
  // The requests in order, since the framing of an answer depends on its request.
  struct SentRequest {
    std::string method = "GET";
    bool upgrade = false;
    bool http_1_0 = false;
  };
  std::vector<SentRequest> sent_requests{};
  bool has_any_answer_count = false;  // the client's bytes were corrupted: any number of answers is valid

 protected:
  bool parse_first_line(std::string_view line, Message& message) override;
  bool frame_body(Message& message, Framing& framing) override;
  bool is_message_due() override { return has_any_answer_count || messages.size() < sent_requests.size(); }
};

std::string escaped(std::string_view bytes, std::size_t limit = 2000);

}  // namespace mgpu::faults
