// libFuzzer: the text of a configuration. Whatever it is, parsing ends with a configuration or with errors
// that have a message; a valid one is written as YAML that reads back the same; a value of the environment is
// in neither.
#include "config/config.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/assert.h"

namespace mgpu::config {
namespace {

constexpr const char* kSecret = "hf_$secret && '${x} \"value\n";

void check_text(const std::string& text) {
  const bool may_show = text.contains("secret");
  const ParseResult parsed = parse(text, "mgpu.yaml");
  for (const Diagnostic& diagnostic : parsed.diagnostics) {
    MGPU_ASSERT(!diagnostic.message.empty(), "an error has a message");
    MGPU_ASSERT(may_show || !to_string(diagnostic).contains("secret"), "an error shows no secret");
  }
  if (!parsed.diagnostics.empty()) return;
  const std::string shown = to_yaml(parsed.config);
  MGPU_ASSERT(may_show || !shown.contains("secret"), "a shown configuration shows no secret");
  const ParseResult again = parse(shown, "shown.yaml");
  MGPU_ASSERT(again.diagnostics.empty(), "a shown configuration is valid");
  MGPU_ASSERT(to_yaml(again.config) == shown, "a shown configuration is read as the same");
}

}  // namespace
}  // namespace mgpu::config

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int is_set = setenv("KEY", mgpu::config::kSecret, 1);
  MGPU_ASSERT(is_set == 0, "the environment has a secret");
  mgpu::config::check_text(std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}
