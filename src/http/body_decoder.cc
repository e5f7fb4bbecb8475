#include "http/body_decoder.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/ascii.h"
#include "base/bytes.h"

namespace mgpu::http {
namespace {

constexpr int kMaxSizeDigits = 15;  // hexadecimal; less than 2^60, so that sums can't overflow

std::unexpected<Error> framing_error(const char* what) {
  return fail(ErrorCode::invalid_request, std::string("the body is framed wrongly: ") + what);
}

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < ' ' && byte != '\t') || byte == 0x7f;
}

}  // namespace

Error body_too_large_error(std::uint64_t max_data) {
  const Bytes limit{static_cast<std::int64_t>(max_data)};
  return {ErrorCode::too_large, "the body is larger than limits.max_body, " + to_string(limit)};
}

BodyDecoder BodyDecoder::of_length(std::uint64_t length) {
  BodyDecoder decoder(length > 0 ? State::data_of_length : State::done);
  decoder.remaining_ = length;
  return decoder;
}

BodyDecoder BodyDecoder::chunked(BodyLimits limits) {
  BodyDecoder decoder(State::size);
  decoder.limits_ = limits;
  return decoder;
}

BodyDecoder BodyDecoder::until_close() { return BodyDecoder(State::data_until_close); }

std::optional<std::uint64_t> BodyDecoder::remaining() const {
  if (state_ == State::done) return 0;
  return state_ == State::data_of_length ? std::optional(remaining_) : std::nullopt;
}

Result<void> BodyDecoder::end_of_input() {
  if (state_ == State::data_until_close) state_ = State::done;
  if (state_ != State::done) return framing_error("it ends too early");
  return {};
}

Result<std::size_t> BodyDecoder::feed(std::string_view in, std::string& out) {
  std::size_t taken = 0;
  while (taken < in.size() && state_ != State::done) {
    if (state_ == State::data_until_close) {
      out += in.substr(taken);
      return in.size();
    }
    if (state_ == State::data_of_length || state_ == State::chunk_data) {
      const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, in.size() - taken));
      out += in.substr(taken, n);
      taken += n;
      remaining_ -= n;
      if (remaining_ == 0) state_ = state_ == State::chunk_data ? State::data_line_end_cr : State::done;
      continue;
    }
    if (auto framed = parse_framing_byte(in[taken]); !framed) return std::unexpected(framed.error());
    ++taken;
  }
  return taken;
}

Result<void> BodyDecoder::count_framing() {
  if (++framing_bytes_ > limits_.max_framing)
    return fail(ErrorCode::too_large,
                fmt::format("the body's chunk extensions and trailers are longer than {} bytes",
                            limits_.max_framing));
  return {};
}

Result<void> BodyDecoder::parse_size_digit(char c) {
  if (const int digit = hex_value(c); digit >= 0) {
    if (++size_digits_ > kMaxSizeDigits) return framing_error("a chunk's size has too many digits");
    remaining_ = remaining_ * 16 + static_cast<std::uint64_t>(digit);
    return {};
  }
  if (size_digits_ == 0) return framing_error("a chunk without a size");
  if (c == '\r')
    state_ = State::size_line_end;
  else if (c == ';')
    state_ = State::extension;
  else
    return framing_error("a chunk's size is no hexadecimal number");
  return {};
}

Result<void> BodyDecoder::begin_chunk() {
  size_digits_ = 0;
  data_bytes_ += remaining_;
  if (data_bytes_ > limits_.max_data) return std::unexpected(body_too_large_error(limits_.max_data));
  state_ = remaining_ > 0 ? State::chunk_data : State::trailer_begin;
  return {};
}

Result<void> BodyDecoder::parse_framing_byte(char c) {
  switch (state_) {
    case State::size:
      return parse_size_digit(c);
    case State::extension:
      if (c == '\r') {
        state_ = State::size_line_end;
        return {};
      }
      if (is_control(c)) return framing_error("a control character in a chunk extension");
      return count_framing();
    case State::size_line_end:
      if (c != '\n') return framing_error("a chunk's first line does not end with CRLF");
      return begin_chunk();
    case State::data_line_end_cr:
      if (c != '\r') return framing_error("a chunk is longer than it says");
      state_ = State::data_line_end_lf;
      return {};
    case State::data_line_end_lf:
      if (c != '\n') return framing_error("a chunk does not end with CRLF");
      state_ = State::size;
      return {};
    case State::trailer_begin:
      if (c == '\r') {
        state_ = State::last_line_end;
        return {};
      }
      if (c == ' ' || c == '\t' || c == ':') return framing_error("a trailer that is not \"name: value\"");
      field_name_seen_ = false;
      state_ = State::trailer;
      [[fallthrough]];
    case State::trailer:
      if (c == '\r') {
        if (!field_name_seen_) return framing_error("a trailer that is not \"name: value\"");
        state_ = State::trailer_line_end;
        return {};
      }
      if (is_control(c)) return framing_error("a control character in a trailer");
      field_name_seen_ |= c == ':';
      return count_framing();
    case State::trailer_line_end:
      if (c != '\n') return framing_error("a trailer does not end with CRLF");
      state_ = State::trailer_begin;
      return {};
    case State::last_line_end:
      if (c != '\n') return framing_error("the body does not end with CRLF");
      state_ = State::done;
      return {};
    default:
      return framing_error("data where framing is expected");
  }
}

}  // namespace mgpu::http
