#include "gateway/query_model.h"

#include <algorithm>
#include <cstddef>
#include <optional>

#include "gateway/form_scanner.h"
#include "gateway/route.h"
#include "gateway/scan_result.h"

namespace mgpu::gateway {
namespace {

// The position of the value within `target`.
std::optional<ByteRange> find_value(std::string_view target) {
  std::size_t begin = path_without_query(target).size() + 1;
  while (begin < target.size()) {
    const std::size_t end = std::min(target.find('&', begin), target.size());
    const std::string_view field = target.substr(begin, end - begin);
    const std::size_t equals = field.find('=');
    if (equals != std::string_view::npos && percent_decode(field.substr(0, equals), true) == "model")
      return ByteRange{begin + equals + 1, end};
    begin = end + 1;
  }
  return std::nullopt;
}

}  // namespace

std::string model_in_query(std::string_view target) {
  const auto value = find_value(target);
  return value ? percent_decode(target.substr(value->begin, value->end - value->begin), true) : "";
}

std::string with_model_in_query(std::string_view target, std::string_view model) {
  std::string edited(target);
  if (const auto value = find_value(target))
    edited.replace(value->begin, value->end - value->begin, percent_encode(model));
  return edited;
}

}  // namespace mgpu::gateway
