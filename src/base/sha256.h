// SHA-256 (FIPS 180-4), as lower-case hexadecimal. For names that other programs compute as well, such as
// Ollama's digests; no secret depends on it.
#pragma once

#include <string>
#include <string_view>

namespace mgpu {

std::string sha256_hex(std::string_view bytes);

}  // namespace mgpu
