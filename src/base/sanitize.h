// Text of others (what a service says, names that a client sends) as it may go to a terminal or into a log:
// whatever is no text but a command to the terminal, or would hide or forge what is written, is spelt out.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mgpu {

// For one line. Control characters, line breaks too, as "\x1b", and those beyond ASCII (C1, the marks that
// turn the direction of writing) as "\u009b"; what is no UTF-8 becomes U+FFFD. A tab stays.
std::string sanitize_text(std::string_view text);

// Likewise, with at most `most` bytes: cut between two characters.
std::string sanitize_text(std::string_view text, std::size_t max_bytes);

// Likewise, and line breaks stay: for text whose lines are our own. Of JSON it leaves JSON.
std::string sanitize_lines(std::string_view text);

}  // namespace mgpu
