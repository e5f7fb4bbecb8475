#include "gateway/json_fields.h"

#include <algorithm>
#include <utility>

#include "base/ascii.h"

namespace mgpu::gateway {
namespace {

constexpr std::size_t kMaxKey = 64;  // longer than any name of interest
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// The key as it was written, with its escapes decoded; as it is if it is no JSON string.
std::string decoded_key(const std::string& key) {
  if (!key.contains('\\')) return key;
  const auto parsed = nlohmann::json::parse("\"" + key + "\"", nullptr, false);
  return parsed.is_string() ? parsed.get<std::string>() : key;
}

}  // namespace

void JsonFields::feed(std::string_view chunk) {
  for (const char c : chunk) {
    put(c);
    ++offset_;
  }
}

void JsonFields::put(char c) {
  switch (state_) {
    case State::key:
      return put_key(c);
    case State::scalar:
    case State::text:
    case State::nested:
      return put_value_byte(c);
    case State::before:
      if (offset_ < kByteOrderMark.size() && c == kByteOrderMark[offset_]) return;
      break;
    default:
      break;
  }
  if (is_space(c) || state_ == State::invalid) return;
  switch (state_) {
    case State::before:
      state_ = c == '{' ? State::key_or_close : State::invalid;
      object_begin_ = offset_ + 1;
      break;
    case State::key_or_close:
      if (c == '}' && is_empty_)
        state_ = State::end;
      else
        state_ = c == '"' ? State::key : State::invalid;
      key_.clear();
      break;
    case State::colon:
      state_ = c == ':' ? State::value : State::invalid;
      break;
    case State::value:
      begin_value(c);
      break;
    case State::comma:
      state_ = c == ',' ? State::key_or_close : c == '}' ? State::end : State::invalid;
      break;
    default:  // end: something follows the object
      state_ = State::invalid;
      break;
  }
}

void JsonFields::put_key(char c) {
  is_empty_ = false;
  if (c == '"' && !is_escaped_) {
    state_ = State::colon;
    return;
  }
  is_escaped_ = c == '\\' && !is_escaped_;
  if (key_.size() < kMaxKey) key_ += c;
}

void JsonFields::begin_value(char c) {
  const std::string key = decoded_key(key_);
  const auto name = std::ranges::find_if(
      names_, [&](std::string_view candidate) { return equals_ignore_case(candidate, key); });
  if (name != names_.end()) current_ = Member{.name = *name, .range = {offset_, offset_}};
  depth_ = 0;
  is_escaped_ = in_string_ = false;
  if (c == '"') {
    state_ = State::text;
    if (current_) current_->text = c;
  } else if (c == '{' || c == '[') {
    state_ = State::nested;
    put_value_byte(c);
  } else if (c == ',' || c == '}' || c == ']' || c == ':') {
    state_ = State::invalid;
  } else {
    state_ = State::scalar;
    put_value_byte(c);
  }
}

void JsonFields::put_value_byte(char c) {
  if (state_ == State::scalar && (is_space(c) || c == ',' || c == '}')) {
    end_value(offset_);
    if (!is_space(c)) put(c);
    return;
  }
  if (current_) {
    current_->is_cut |= current_->text.size() == kMaxValue;
    if (!current_->is_cut) current_->text += c;
  }
  if (state_ == State::scalar) return;
  const bool was_escaped = std::exchange(is_escaped_, false);
  const bool in_text = state_ == State::text || in_string_;
  if (in_text && was_escaped) return;
  if (in_text && c == '\\') {
    is_escaped_ = true;
  } else if (c == '"') {
    if (state_ == State::text) return end_value(offset_ + 1);
    in_string_ = !in_string_;
  } else if (!in_text && (c == '{' || c == '[')) {
    ++depth_;
  } else if (!in_text && (c == '}' || c == ']') && --depth_ == 0) {
    end_value(offset_ + 1);
  }
}

void JsonFields::end_value(std::uint64_t end) {
  state_ = State::comma;
  if (!current_) return;
  current_->range.end = end;
  std::erase_if(members_, [this](const Member& member) { return member.name == current_->name; });
  members_.push_back(std::move(*current_));
  current_.reset();
}

nlohmann::json JsonFields::values() const {
  nlohmann::json values = nlohmann::json::object();
  for (const Member& member : members_) {
    nlohmann::json value = "...";
    if (!member.is_cut) value = nlohmann::json::parse(member.text, nullptr, false);
    if (value.is_discarded()) value = nullptr;
    values[std::string(member.name)] = std::move(value);
  }
  return values;
}

std::optional<ByteRange> JsonFields::range_of(std::string_view name) const {
  const auto found = std::ranges::find(members_, name, &Member::name);
  return found == members_.end() ? std::nullopt : std::optional(found->range);
}

std::string JsonFields::first_member(std::string_view name, std::string_view value) const {
  return "\"" + std::string(name) + "\":" + std::string(value) + (is_empty_ ? "" : ",");
}

}  // namespace mgpu::gateway
