#include "cli/completion.h"

#include <fmt/format.h>

namespace mgpu::cli {
namespace {

struct Flag {
  std::string name;  // "--json"
  std::string text;
};

std::vector<Flag> flags_of(const CLI::App& app) {
  std::vector<Flag> flags;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames())
      flags.push_back({"--" + name, option->get_description()});
  return flags;
}

std::vector<const CLI::App*> subcommands_of(const CLI::App& app) {
  const auto all = app.get_subcommands(nullptr);
  return {all.begin(), all.end()};
}

std::string joined_names(const std::vector<const CLI::App*>& apps) {
  std::string names;
  for (const CLI::App* app : apps) names += (names.empty() ? "" : " ") + app->get_name();
  return names;
}

// Quoted for bash, zsh and fish.
std::string single_quoted(std::string text) {
  for (std::size_t at = 0; (at = text.find('\'', at)) != std::string::npos; at += 4)
    text.replace(at, 1, "'\\''");
  return "'" + text + "'";
}

// For zsh's "name:text" lists: an unescaped colon ends the name.
std::string with_escaped_colons(std::string text) {
  for (std::size_t at = 0; (at = text.find(':', at)) != std::string::npos; at += 2) text.insert(at, "\\");
  return text;
}

bool takes_consumer(const CLI::App& app) { return app.get_option_no_throw("consumer") != nullptr; }

}  // namespace

std::string bash_completion(const CLI::App& app) {
  std::string cases;
  for (const CLI::App* command : subcommands_of(app)) {
    std::string words = joined_names(subcommands_of(*command));
    for (const Flag& flag : flags_of(*command)) words += " " + flag.name;
    if (takes_consumer(*command)) words += " $(mgpu consumers --names 2>/dev/null)";
    cases += fmt::format("    {}) words=\"{}\" ;;\n", command->get_name(), words);
  }
  return fmt::format(R"sh(# bash completion for mgpu: source <(mgpu completion bash)
_mgpu() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}" words=""
  if [[ $previous == --consumer ]]; then
    COMPREPLY=($(compgen -W "$(mgpu consumers --names 2>/dev/null)" -- "$current"))
    return
  fi
  if (( COMP_CWORD == 1 )); then
    COMPREPLY=($(compgen -W "{} --help --url" -- "$current"))
    return
  fi
  case "${{COMP_WORDS[1]}}" in
{}  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _mgpu mgpu
)sh",
                     joined_names(subcommands_of(app)), cases);
}

std::string zsh_completion(const CLI::App& app) {
  std::string names;
  std::string cases;
  for (const CLI::App* command : subcommands_of(app)) {
    names += fmt::format("    {}\n", single_quoted(command->get_name() + ":" +
                                                   with_escaped_colons(command->get_description())));
    std::string words;
    for (const CLI::App* inner : subcommands_of(*command))
      words += " " + single_quoted(inner->get_name() + ":" + with_escaped_colons(inner->get_description()));
    for (const Flag& flag : flags_of(*command))
      words += " " + single_quoted(flag.name + ":" + with_escaped_colons(flag.text));
    if (takes_consumer(*command)) words += " ${(f)\"$(mgpu consumers --names 2>/dev/null)\"}";
    cases += fmt::format("    {}) words_here=({}) ;;\n", command->get_name(), words);
  }
  return fmt::format(R"sh(#compdef mgpu
# zsh completion for mgpu: source <(mgpu completion zsh)
_mgpu() {{
  local -a commands_here words_here
  commands_here=(
{}  )
  if (( CURRENT == 2 )); then
    _describe command commands_here
    return
  fi
  case $words[2] in
{}  esac
  _describe argument words_here
  _files
}}
compdef _mgpu mgpu
)sh",
                     names, cases);
}

std::string fish_completion(const CLI::App& app) {
  std::string text = "# fish completion for mgpu: mgpu completion fish | source\n";
  for (const CLI::App* command : subcommands_of(app)) {
    const std::string& name = command->get_name();
    text += fmt::format("complete -c mgpu -n __fish_use_subcommand -f -a {} -d {}\n", name,
                        single_quoted(command->get_description()));
    const std::string here = fmt::format("complete -c mgpu -n '__fish_seen_subcommand_from {}'", name);
    for (const CLI::App* inner : subcommands_of(*command))
      text += fmt::format("{} -f -a {} -d {}\n", here, inner->get_name(),
                          single_quoted(inner->get_description()));
    for (const Flag& flag : flags_of(*command))
      text += fmt::format("{} -l {} -d {}\n", here, flag.name.substr(2), single_quoted(flag.text));
    if (takes_consumer(*command)) text += here + " -f -a '(mgpu consumers --names 2>/dev/null)'\n";
  }
  return text;
}

}  // namespace mgpu::cli
