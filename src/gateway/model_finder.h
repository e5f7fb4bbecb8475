// Finds the AI model that a request names in its body, incrementally and without storing the body.
//
// The first bytes of the body determine its format, not the Content-Type header (clients often set it wrong):
// '{' is JSON, "--" is multipart/form-data (its first line is the boundary), letters and % are a urlencoded
// form. The result does not depend on how the bytes are split into chunks. Memory is bounded for any input.
// Text before the first boundary is skipped if the header declares the boundary.
//
// The result: in JSON the top-level key "model", decoded, the first if it occurs twice; in multipart the part
// named "model", in any position; in a form the field "model".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "gateway/form_scanner.h"
#include "gateway/json_scanner.h"
#include "gateway/multipart_scanner.h"
#include "gateway/scan_result.h"

namespace mgpu::gateway {

class ModelFinder {
 public:
  // `accept_name_key`: Ollama's older spelling; the top-level "name" is used if a JSON body has no "model".
  // `boundary`: that of a multipart body, if it is declared (parse_boundary); it may have a preamble then.
  explicit ModelFinder(bool accept_name_key = false, std::string boundary = {})
      : accept_name_key_(accept_name_key), boundary_(std::move(boundary)) {}

  // Consumes the next bytes of the body. After any status but still_looking, further bytes change nothing.
  ScanStatus feed(std::string_view chunk);

  // Ends the body: never returns still_looking.
  ScanStatus finish();

  ScanStatus status() const { return status_; }

  // found: the name, decoded; never empty.
  const std::string& name() const { return result_.name; }

  // invalid: the reason, for the error message.
  const std::string& reason() const { return result_.reason; }

  // found: the position of the value in the body (with its quotes in JSON), as byte offsets.
  ByteRange value_range() const { return result_.range; }

  // found: `name` encoded for this format, to replace value_range().
  std::string encode_name(std::string_view name) const;

 private:
  ScanStatus detect_format(char c);
  ScanStatus scan_preamble();
  ScanStatus put(char c);
  std::size_t count_skippable(std::string_view rest);

  bool accept_name_key_;
  std::string boundary_;
  std::uint64_t offset_ = 0;   // of the current byte
  std::string format_prefix_;  // the first bytes, until they decide the format
  std::variant<std::monostate, JsonScanner, MultipartScanner, FormScanner> scanner_;
  ScanResult result_;
  ScanStatus status_ = ScanStatus::still_looking;
};

}  // namespace mgpu::gateway
