#include "config/variables.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "config/spelling.h"

namespace mgpu::config {
namespace {

constexpr std::string_view kEnvironmentPrefix = "env.";
constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
constexpr std::string_view kDigits = "0123456789";

// A letter or underscore, then also digits and the characters of `more`.
bool is_name(std::string_view text, std::string_view more) {
  if (text.empty() || text.size() > 64 || kLetters.find(text.front()) == std::string_view::npos) return false;
  return std::ranges::all_of(
      text, [&](char c) { return kLetters.contains(c) || kDigits.contains(c) || more.contains(c); });
}

bool is_variable_name(std::string_view text) { return is_name(text, ""); }
bool is_macro_name(std::string_view text) { return is_name(text, "-"); }

std::string reference(std::string_view name) { return "${" + std::string(name) + "}"; }

}  // namespace

std::optional<std::string> process_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

// The text that a scalar becomes.
struct Variables::Expansion {
  std::string text{};
  std::vector<Substitution> substitutions{};
  std::vector<std::string> macros{};  // those being expanded, the innermost last
  std::vector<std::string> errors{};
  std::size_t macro_count = 0;
  bool allows_port = true;
  bool reports_macros = false;       // also errors within macros
  bool looks_at_environment = true;  // false: whether a variable is set does not matter

  std::size_t cost() const { return text.size() + 64 * macro_count; }
  void fail(std::string message) {
    if (macros.empty() || reports_macros) errors.push_back(std::move(message));
  }
  void substitute(std::string_view value, std::string written, std::string variable) {
    substitutions.push_back({text.size(), value.size(), std::move(written), std::move(variable)});
    text += value;
  }
};

std::vector<ValueError> Variables::define_macros(const Node& macros) {
  if (macros.is_null()) return {};
  if (!macros.is_map())
    return {{macros.mark, "expected a mapping of names to texts, found " + describe(macros)}};
  std::vector<ValueError> errors;
  for (std::size_t i = 0; i < macros.keys.size(); ++i) {
    const Node& key = macros.keys[i];
    const Node& value = macros.items[i];
    if (!key.is_scalar() || !is_macro_name(key.text) || key.text == "PORT" || key.text == "env")
      errors.push_back({key.mark, describe(key) + " can't name a macro: use letters, digits, dashes and " +
                                      "underscores, a letter first, and neither PORT nor env"});
    else if (!value.is_scalar())
      errors.push_back({value.mark, key.text + ": expected a text, found " + describe(value)});
    else if (!macros_.emplace(key.text, value).second)
      errors.push_back({key.mark, in_quotes(key.text) + " is there twice: remove one of them"});
    else if (!value.unfolded.empty())
      macros_[key.text].text = value.unfolded;
  }
  for (const auto& [name, value] : macros_) {
    Expansion expansion{.macros = {name}, .reports_macros = true, .looks_at_environment = false};
    expand(value.text, expansion);
    if (expansion.cost() > kMaxReplacedBytes) expansion.fail("becomes too large with the macros in it");
    for (std::string& message : expansion.errors)
      errors.push_back({value.mark, name + ": " + std::move(message)});
  }
  return errors;
}

std::vector<ValueError> Variables::replace(Node& value, bool allows_port) {
  std::vector<ValueError> errors;
  const auto append = [&](std::vector<ValueError> more) {
    std::ranges::move(more, std::back_inserter(errors));
  };
  for (Node& key : value.keys) append(replace(key, allows_port));
  for (Node& item : value.items) append(replace(item, allows_port));
  if (!value.is_scalar() || !value.text.contains("${")) return errors;
  Expansion expansion{.allows_port = allows_port};
  expand(value.text, expansion);
  for (std::string& message : expansion.errors) errors.push_back({value.mark, std::move(message)});
  replaced_text_ += expansion.cost();
  if (expansion.cost() > kMaxReplacedBytes || replaced_text_ > kMaxReplacedBytesInAll)
    errors.push_back({value.mark, "becomes too large with its macros: at most " +
                                      std::to_string(kMaxReplacedBytes) + " bytes, and " +
                                      std::to_string(kMaxReplacedBytesInAll) + " in all values together"});
  value.text = std::move(expansion.text);
  value.substitutions = std::move(expansion.substitutions);
  return errors;
}

void Variables::expand(std::string_view text, Expansion& into) {
  while (into.cost() <= kMaxReplacedBytes) {
    const std::size_t at = text.find("${");
    const bool is_escaped = at != std::string_view::npos && at > 0 && text[at - 1] == '$';
    into.text += text.substr(0, is_escaped ? at - 1 : at);
    if (at == std::string_view::npos) return;
    const std::string_view rest = text.substr(at);
    if (is_escaped) {
      if (rest.starts_with(kPortPlaceholder)) into.fail("$${PORT} can't be passed on as the text ${PORT}");
      into.substitute("${", "$${", "");
      text = rest.substr(2);
      continue;
    }
    const std::size_t end = rest.find('}');
    if (end == std::string_view::npos)
      return into.fail("${ is never closed: write ${NAME}, or $${ for the text ${ itself");
    expand_reference(rest.substr(2, end - 2), into);
    text = rest.substr(end + 1);
  }
}

void Variables::expand_reference(std::string_view name, Expansion& into) {
  if (name == "PORT") {
    if (!into.allows_port) into.fail("${PORT} has no meaning here: it is for url, command, env and ports");
    into.text += kPortPlaceholder;
  } else if (name.starts_with(kEnvironmentPrefix)) {
    expand_environment(std::string(name.substr(kEnvironmentPrefix.size())), into);
  } else {
    expand_macro(std::string(name), into);
  }
}

void Variables::expand_macro(const std::string& name, Expansion& into) {
  if (const auto begin = std::ranges::find(into.macros, name); begin != into.macros.end()) {
    std::string circle;
    for (auto macro = begin; macro != into.macros.end(); ++macro) circle += reference(*macro) + " -> ";
    return into.fail("the macros refer to each other in a circle: " + circle + reference(name));
  }
  const auto macro = macros_.find(name);
  if (macro == macros_.end()) {
    std::vector<std::string> known{"PORT"};
    for (const auto& [one, value] : macros_) known.push_back(one);
    const std::string suggestion = closest_match(name, known);
    const std::string environment =
        is_variable_name(name) ? reference("env." + name) + " for the environment variable, " : "";
    return into.fail("there is no macro " + in_quotes(name) +
                     (suggestion.empty() ? "" : ", did you mean " + reference(suggestion) + "?") +
                     (suggestion.empty() ? ": write " : " (Or write ") + environment +
                     "$${...} for the text itself" + (suggestion.empty() ? "" : ")"));
  }
  if (into.macros.size() >= kMaxMacroDepth)
    return into.fail("macros are nested too deeply: at most " + std::to_string(kMaxMacroDepth) + " levels");
  ++into.macro_count;
  into.macros.push_back(name);
  expand(macro->second.text, into);
  into.macros.pop_back();
}

void Variables::expand_environment(const std::string& name, Expansion& into) {
  if (!is_variable_name(name))
    return into.fail("${env." + name + "} is not ${env.NAME} with the name of an environment variable");
  if (!into.looks_at_environment) return;
  std::optional<std::string> value = environment_(name);
  if (!value) {
    // The macro is right; it is used where the variable is not set. So this is reported even within a macro.
    into.errors.push_back("the environment variable " + name +
                          " is not set: set it for mgpu, or remove ${env." + name + "}");
    return;
  }
  into.substitute(*value, reference("env." + name), name);
}

}  // namespace mgpu::config
