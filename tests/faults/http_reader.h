// HTTP/1.1 read without mercy: what the daemon sends to either side must be exactly one way to read. Both
// readers take bytes as they come; `problem` says the first thing that no strict reader would accept.
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
  bool closes_connection() const;  // says `Connection: close`, or can only end so
};

// The part that requests and answers share: a head, then a body by length, by chunks or until the end.
class MessageReader {
 public:
  virtual ~MessageReader() = default;
  void feed(std::string_view bytes);
  void end_of_stream(bool reset);  // the connection is over

  std::vector<Message> messages{};  // requests, or final answers; the last one may be incomplete
  int interim_count = 0;            // 1xx answers
  std::string raw{};                // after a 101
  bool is_raw = false;
  std::string problem{};
  std::size_t complete_count() const;

 protected:
  enum class Framing { none, length, chunks, until_close };
  // Sets how the body of `messages.resumed()` is framed; false after an interim answer, whose head is
  // dropped.
  virtual bool frame_body(Message& message, Framing& framing) = 0;
  virtual bool parse_first_line(std::string_view line, Message& message) = 0;
  virtual bool is_message_due() { return true; }  // whether another message is due

  void set_problem(std::string what);

 private:
  enum class State { head, length, chunk_size, chunk, chunk_end, trailers, until_close, raw, bad };
  void read_head(std::string_view head);
  bool read_part();

  State state_ = State::head;
  std::string buffer_;
  std::size_t read_offset_ = 0;  // what is read of it
  std::size_t bytes_left_ = 0;
};

class RequestReader final : public MessageReader {
 public:
  std::function<bool(const Message&)> is_upgrade{};  // whether the service switches protocols at this request

 protected:
  bool parse_first_line(std::string_view line, Message& message) override;
  bool frame_body(Message& message, Framing& framing) override;
};

class ResponseReader final : public MessageReader {
 public:
  // What the client asked for, in order: the framing of an answer depends on it.
  struct SentRequest {
    std::string method = "GET";
    bool upgrade = false;
    bool http_1_0 = false;
  };
  std::vector<SentRequest> sent_requests{};
  bool has_any_answer_count = false;  // of answers: the client's bytes were corrupted, and may mean anything

 protected:
  bool parse_first_line(std::string_view line, Message& message) override;
  bool frame_body(Message& message, Framing& framing) override;
  bool is_message_due() override { return has_any_answer_count || messages.size() < sent_requests.size(); }
};

std::string escaped(std::string_view bytes, std::size_t limit = 2000);

}  // namespace mgpu::faults
