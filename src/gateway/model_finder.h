// Finds the AI model that a request asks for, in its body as the bytes come in, without holding the body.
//
// The first bytes of the body decide its format, not the Content-Type header (clients get that wrong): '{' is
// JSON, "--" is multipart/form-data (its first line is the boundary), letters and % are a urlencoded form.
// The result does not depend on how the bytes are cut into chunks. Memory is bounded, whatever is fed.
//
// What counts: JSON, the top-level key "model" with its escapes decoded, the first where it stands twice;
// multipart, the part named "model", in any order; a form, the field "model".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "gateway/form_scanner.h"
#include "gateway/json_scanner.h"
#include "gateway/multipart_scanner.h"
#include "gateway/scan_result.h"

namespace mgpu::gateway {

class ModelFinder {
 public:
  // `accept_name_key`: Ollama's older spelling; the top-level "name" counts where a JSON body has no "model".
  explicit ModelFinder(bool accept_name_key = false) : accept_name_key_(accept_name_key) {}

  // The next bytes of the body. After any status but still_looking, more bytes change nothing.
  ScanStatus feed(std::string_view chunk);

  // The body is complete: never still_looking.
  ScanStatus finish();

  // found: the name, decoded; never empty.
  const std::string& name() const { return result_.name; }

  // invalid: why, for a person.
  const std::string& reason() const { return result_.reason; }

  // found: where the value stands in the body (with its quotes in JSON), as offsets of bytes already fed.
  ByteRange value_range() const { return result_.range; }

  // found: `name` as it is written in a body of this format, to replace value_range().
  std::string encode_name(std::string_view name) const;

 private:
  ScanStatus detect_format(char c);
  ScanStatus put(char c);
  std::size_t count_skippable(std::string_view rest);

  bool accept_name_key_;
  std::uint64_t offset_ = 0;   // of the current byte
  std::string format_prefix_;  // the first bytes, until they decide the format
  std::variant<std::monostate, JsonScanner, MultipartScanner, FormScanner> scanner_;
  ScanResult result_;
  ScanStatus status_ = ScanStatus::still_looking;
};

}  // namespace mgpu::gateway
