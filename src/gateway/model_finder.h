// Finds the AI model that a request asks for, in its body as the bytes come in, without holding the body.
//
// What the body is, its first bytes decide, not the Content-Type header (clients get that wrong): '{' is
// JSON,
// "--" is multipart/form-data (its first line is the boundary), letters and % are a urlencoded form. The
// answer does not depend on how the bytes are cut into chunks. Memory is bounded, whatever is fed.
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

  // The next bytes of the body. After any answer but still_looking, more bytes change nothing.
  ScanStatus feed(std::string_view chunk);

  // The body is complete: never still_looking.
  ScanStatus finish();

  // found: the name, as its value says it; never empty.
  const std::string& name() const { return result_.name; }

  // invalid: why, for a person.
  const std::string& reason() const { return result_.reason; }

  // found: where the value stands in the body (with its quotes in JSON), as offsets of bytes already fed.
  ByteRange value_range() const { return result_.range; }

  // found: how `name` is written in a body of this form, to stand at where().
  std::string encode_name(std::string_view name) const;

 private:
  ScanStatus detect_format(char c);
  ScanStatus put(char c);
  std::size_t count_skippable(std::string_view rest);

  bool accept_name_key_;
  std::uint64_t offset_ = 0;   // offset of the byte in hand
  std::string format_prefix_;  // the first bytes, until they say what the body is
  std::variant<std::monostate, JsonScanner, MultipartScanner, FormScanner> scanner_;
  ScanResult result_;
  ScanStatus status_ = ScanStatus::still_looking;
};

}  // namespace mgpu::gateway
