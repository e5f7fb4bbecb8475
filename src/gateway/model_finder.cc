#include "gateway/model_finder.h"

#include <algorithm>
#include <cstring>

#include <nlohmann/json.hpp>

namespace mgpu::gateway {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool can_start_form(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '%' || c == '&';
}

}  // namespace

ScanStatus ModelFinder::feed(std::string_view chunk) {
  for (std::size_t i = 0; i < chunk.size() && status_ == ScanStatus::still_looking;) {
    std::size_t skipped = count_skippable(chunk.substr(i));
    i += skipped;
    offset_ += skipped;
    if (i == chunk.size()) break;
    status_ = put(chunk[i++]);
    ++offset_;
  }
  return status_;
}

ScanStatus ModelFinder::finish() {
  if (status_ != ScanStatus::still_looking) return status_;
  if (auto* json = std::get_if<JsonScanner>(&scanner_)) return status_ = json->finish(result_);
  if (auto* multipart = std::get_if<MultipartScanner>(&scanner_)) return status_ = multipart->finish(result_);
  if (auto* form = std::get_if<FormScanner>(&scanner_)) return status_ = form->finish(offset_, result_);
  if (format_prefix_.empty()) return status_ = ScanStatus::absent;
  return status_ = result_.set_invalid("the body ends before it says what it is");
}

std::string ModelFinder::encode_name(std::string_view name) const {
  if (std::holds_alternative<JsonScanner>(scanner_))
    return nlohmann::json(name).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (std::holds_alternative<FormScanner>(scanner_)) return percent_encode(name);
  return std::string(name);
}

ScanStatus ModelFinder::put(char c) {
  if (auto* json = std::get_if<JsonScanner>(&scanner_)) return json->put(c, offset_, result_);
  if (auto* multipart = std::get_if<MultipartScanner>(&scanner_)) return multipart->put(c, offset_, result_);
  if (auto* form = std::get_if<FormScanner>(&scanner_)) return form->put(c, offset_, result_);
  return detect_format(c);
}

ScanStatus ModelFinder::detect_format(char c) {
  if (format_prefix_.empty() && is_space(c)) return ScanStatus::still_looking;
  format_prefix_ += c;
  if (format_prefix_ == kByteOrderMark) {
    format_prefix_.clear();
    return ScanStatus::still_looking;
  }
  if (kByteOrderMark.starts_with(format_prefix_) || format_prefix_ == "-") return ScanStatus::still_looking;
  if (format_prefix_ == "--") {
    auto& multipart = scanner_.emplace<MultipartScanner>();
    multipart.put('-', offset_ - 1, result_);
    return multipart.put('-', offset_, result_);
  }
  if (!boundary_.empty() && c != '{') return scan_preamble();
  if (format_prefix_.size() == 1 && can_start_form(c))
    return scanner_.emplace<FormScanner>().put(c, offset_, result_);
  return scanner_.emplace<JsonScanner>(accept_name_key_).put(c, offset_, result_);
}

ScanStatus ModelFinder::scan_preamble() {
  auto& multipart = scanner_.emplace<MultipartScanner>(boundary_);
  const std::uint64_t begin = offset_ + 1 - format_prefix_.size();
  for (std::size_t i = 0; i < format_prefix_.size(); ++i)
    (void)multipart.put(format_prefix_[i], begin + i, result_);  // never decides: no line ends here
  return ScanStatus::still_looking;
}

// How many of the next bytes can't change the result. Most of a body is long strings (prompts, images in
// base64) and file parts; skipping them is many times faster than scanning them.
std::size_t ModelFinder::count_skippable(std::string_view rest) {
  if (auto* json = std::get_if<JsonScanner>(&scanner_); json != nullptr && json->can_skip_string()) {
    auto plain = [](char c) { return c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20; };
    return static_cast<std::size_t>(std::find_if_not(rest.begin(), rest.end(), plain) - rest.begin());
  }
  if (auto* multipart = std::get_if<MultipartScanner>(&scanner_);
      multipart != nullptr && multipart->can_skip_part())
    return std::min(rest.find(multipart->delimiter_first_byte()), rest.size());
  return 0;
}

}  // namespace mgpu::gateway
