#include "service/credential.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "config/services.h"

namespace mgpu::service {
namespace {

constexpr std::string_view kWhitespace = " \t\r\n";

std::string encode_base64(std::string_view text) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 3) {
    const auto byte = [&](std::size_t at) -> unsigned {
      return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U;
    };
    const unsigned three = byte(i) << 16U | byte(i + 1) << 8U | byte(i + 2);
    for (unsigned digit = 0; digit < 4; ++digit)
      out += i + digit <= text.size() ? kDigits[three >> (18 - 6 * digit) & 63U] : '=';
  }
  return out;
}

Result<std::string> read_api_key(const config::ServiceConfig& config) {
  std::string key;
  if (!config.api_key_env.empty()) {
    const char* value = std::getenv(config.api_key_env.c_str());
    if (value == nullptr)
      return fail(ErrorCode::invalid_config,
                  "api_key_env: the environment variable " + config.api_key_env + " is not set");
    key = value;
  } else {
    // Opening a FIFO without a writer would block.
    std::error_code error;
    std::ifstream file;
    if (std::filesystem::is_regular_file(config.api_key_file, error)) file.open(config.api_key_file);
    if (!file.is_open() || !std::getline(file, key))
      return fail(ErrorCode::invalid_config,
                  "api_key_file: can't read a line of \"" + config.api_key_file + "\"");
  }
  // Blanks at the end are not part of the key; a line break would end the header.
  const auto last = key.find_last_not_of(kWhitespace);
  key.resize(last == key.npos ? 0 : last + 1);
  if (key.empty() || key.find_first_of("\r\n") != key.npos)
    return fail(ErrorCode::invalid_config,
                "the key for the service's control requests (api_key_env or api_key_file) is empty or has "
                "several lines");
  return key;
}

}  // namespace

Result<std::optional<Header>> read_credential(const config::ServiceConfig& config) {
  if (config.api_key_env.empty() && config.api_key_file.empty()) return std::nullopt;
  auto key = read_api_key(config);
  if (!key) return std::unexpected(key.error());
  const std::string_view header_format =
      config::service_traits(config.type).credential;  // "Authorization: Bearer "
  const auto colon = header_format.find(": ");
  std::string prefix(header_format.substr(colon + 2));
  return Header{header_format.substr(0, colon),
                prefix + (prefix.starts_with("Basic") ? encode_base64(*key) : *key)};
}

}  // namespace mgpu::service
