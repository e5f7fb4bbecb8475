#include "gateway/model_finder.h"

#include <algorithm>
#include <cstring>

#include <nlohmann/json.hpp>

namespace mgpu::gateway {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool starts_form(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '%' || c == '&';
}

}  // namespace

Search ModelFinder::feed(std::string_view chunk) {
  for (std::size_t i = 0; i < chunk.size() && search_ == Search::still_looking;) {
    std::size_t skipped = skip(chunk.substr(i));
    i += skipped;
    at_ += skipped;
    if (i == chunk.size()) break;
    search_ = put(chunk[i++]);
    ++at_;
  }
  return search_;
}

Search ModelFinder::end() {
  if (search_ != Search::still_looking) return search_;
  if (auto* json = std::get_if<JsonScanner>(&scanner_)) return search_ = json->end(finding_);
  if (auto* multipart = std::get_if<MultipartScanner>(&scanner_)) return search_ = multipart->end(finding_);
  if (auto* form = std::get_if<FormScanner>(&scanner_)) return search_ = form->end(at_, finding_);
  if (opening_.empty()) return search_ = Search::absent;
  return search_ = finding_.invalid("the body ends before it says what it is");
}

std::string ModelFinder::written(std::string_view name) const {
  if (std::holds_alternative<JsonScanner>(scanner_))
    return nlohmann::json(name).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (std::holds_alternative<FormScanner>(scanner_)) return percent_encoded(name);
  return std::string(name);
}

Search ModelFinder::put(char c) {
  if (auto* json = std::get_if<JsonScanner>(&scanner_)) return json->put(c, at_, finding_);
  if (auto* multipart = std::get_if<MultipartScanner>(&scanner_)) return multipart->put(c, at_, finding_);
  if (auto* form = std::get_if<FormScanner>(&scanner_)) return form->put(c, at_, finding_);
  return start(c);
}

Search ModelFinder::start(char c) {
  if (opening_.empty() && is_space(c)) return Search::still_looking;
  opening_ += c;
  if (opening_ == kByteOrderMark) {
    opening_.clear();
    return Search::still_looking;
  }
  if (kByteOrderMark.starts_with(opening_) || opening_ == "-") return Search::still_looking;
  if (opening_ == "--") {
    auto& multipart = scanner_.emplace<MultipartScanner>();
    multipart.put('-', at_ - 1, finding_);
    return multipart.put('-', at_, finding_);
  }
  if (opening_.size() == 1 && starts_form(c)) return scanner_.emplace<FormScanner>().put(c, at_, finding_);
  return scanner_.emplace<JsonScanner>(also_name_).put(c, at_, finding_);
}

// How many of the next bytes can't change anything: most of a body is long strings (prompts, pictures in
// base64) and file parts, which this passes over many times faster than the scanners would.
std::size_t ModelFinder::skip(std::string_view rest) {
  if (auto* json = std::get_if<JsonScanner>(&scanner_); json != nullptr && json->skims_string()) {
    auto plain = [](char c) { return c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20; };
    return static_cast<std::size_t>(std::find_if_not(rest.begin(), rest.end(), plain) - rest.begin());
  }
  if (auto* multipart = std::get_if<MultipartScanner>(&scanner_);
      multipart != nullptr && multipart->skims_part())
    return std::min(rest.find(multipart->delimiter_start()), rest.size());
  return 0;
}

}  // namespace mgpu::gateway
