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
#include "gateway/scanner.h"

namespace mgpu::gateway {

class ModelFinder {
 public:
  // `also_name`: Ollama's older spelling; the top-level "name" counts where a JSON body has no "model".
  explicit ModelFinder(bool also_name = false) : also_name_(also_name) {}

  // The next bytes of the body. After any answer but still_looking, more bytes change nothing.
  Search feed(std::string_view chunk);

  // The body is complete: never still_looking.
  Search end();

  // found: the name, as its value says it; never empty.
  const std::string& name() const { return finding_.name; }

  // invalid: why, for a person.
  const std::string& reason() const { return finding_.reason; }

  // found: where the value stands in the body (with its quotes in JSON), as offsets of bytes already fed.
  Span where() const { return finding_.where; }

  // found: how `name` is written in a body of this form, to stand at where().
  std::string written(std::string_view name) const;

 private:
  Search start(char c);
  Search put(char c);
  std::size_t skip(std::string_view rest);

  bool also_name_;
  std::uint64_t at_ = 0;  // offset of the byte in hand
  std::string opening_;   // the first bytes, until they say what the body is
  std::variant<std::monostate, JsonScanner, MultipartScanner, FormScanner> scanner_;
  Finding finding_;
  Search search_ = Search::still_looking;
};

}  // namespace mgpu::gateway
