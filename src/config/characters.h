// Characters that a person does not see in an editor, or takes for others: no-break blanks, typographic
// quotes and dashes of a word processor, control characters.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mgpu::config {

// The first invalid byte of UTF-8 in `text`; none if it is valid. Overlong forms and surrogates are invalid.
std::optional<std::size_t> find_invalid_utf8(std::string_view text);

// The name of the control character that `text` begins with, other than tab and line breaks: "U+0000".
std::optional<std::string> control_character(std::string_view text);

// How many bytes of `text` begin with a blank that is not ASCII's (no-break, zero-width, ideographic, ...) or
// a byte order mark; 0: none.
std::size_t odd_blank_size(std::string_view text);

// Whether `text` begins with a typographic quote, or with a dash that is not ASCII's.
bool starts_with_typographic_quote(std::string_view text);
bool starts_with_typographic_dash(std::string_view text);

// What is wrong with a text in which such a character can't be meant: a blank of this kind anywhere, a quote
// at the begin. Null: nothing.
std::optional<std::string> find_odd_character(std::string_view text);

}  // namespace mgpu::config
