// Escapes untrusted text (output of services, names that clients send) before it goes to a terminal or a
// log. Terminal control sequences could otherwise hide or forge output.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mgpu {

// For text of one line. ASCII control characters, line breaks included, become "\x1b"; control characters
// beyond ASCII (C1, line and paragraph separators, bidirectional marks) become "\u009b". Invalid UTF-8
// becomes U+FFFD. Tabs stay.
std::string sanitize_text(std::string_view text);

// The same, cut to at most `max_bytes` between two characters.
std::string sanitize_text(std::string_view text, std::size_t max_bytes);

// The same, but line breaks stay: for text whose lines this program made. Valid JSON stays valid JSON.
std::string sanitize_lines(std::string_view text);

}  // namespace mgpu
