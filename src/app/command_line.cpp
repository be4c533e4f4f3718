#include "app/command_line.h"

#include <fmt/format.h>
#include <lathe/error.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "app/build_config.h"
#include "app/commands/commands.h"
#include "app/report_error.h"
#include "base/signals.h"
#include "config/spelling.h"

namespace lathe {

void CommandOptions::required(const std::string& name, std::string& value, const std::string& help) {
  app_.add_option(name, value, help)->required();
}
void CommandOptions::required(const std::string& name, std::vector<std::string>& values, const std::string& help) {
  app_.add_option(name, values, help)->required();
}
void CommandOptions::option(const std::string& name, std::string& value, const std::string& help) {
  CLI::Option* option = app_.add_option(name, value, help);
  if (!value.empty()) option->capture_default_str();
}
void CommandOptions::option(const std::string& name, std::optional<std::string>& value, const std::string& help) {
  app_.add_option(name, value, help);
}
void CommandOptions::option(const std::string& name, int64_t& value, const std::string& help) {
  app_.add_option(name, value, help)->capture_default_str();
}
void CommandOptions::option(const std::string& name, uint64_t& value, const std::string& help) {
  app_.add_option(name, value, help)->capture_default_str();
}
void CommandOptions::option(const std::string& name, double& value, const std::string& help) {
  app_.add_option(name, value, help)->capture_default_str();
}
void CommandOptions::option(const std::string& name, std::vector<std::string>& values, const std::string& help) {
  app_.add_option(name, values, help);
}
void CommandOptions::flag(const std::string& name, bool& value, const std::string& help) {
  app_.add_flag(name, value, help);
}
void CommandOptions::footer(const std::string& text) {
  app_.footer(text);
}
void CommandOptions::footer(std::function<std::string()> text) {
  app_.footer(std::move(text));
}

namespace {

int unknown_command(const std::string& word, const std::vector<Command>& commands) {
  const auto nearest = std::min_element(commands.begin(), commands.end(), [&](const Command& a, const Command& b) {
    return edit_distance(word, a.name) < edit_distance(word, b.name);
  });
  std::fprintf(stderr, "error: '%s' is not a command\nhint: did you mean '%s'? `lathe --help` lists all\n",
               word.c_str(), nearest->name.c_str());
  return exit_code(ErrorKind::kConfig);
}

// CLI11 answers --help and --version by throwing too; those go to standard output and are no errors.
int answer_parse_error(CLI::App& app, const CLI::ParseError& error, const std::string& command) {
  if (error.get_exit_code() == 0) return app.exit(error);
  std::fprintf(stderr, "error: %s\nhint: lathe %s--help\n", error.what(),
               command.empty() ? "" : (command + " ").c_str());
  return exit_code(ErrorKind::kConfig);
}

}  // namespace

int run_command_line(int argc, char** argv) try {
  install_signal_handlers();
  const std::vector<Command> commands = all_commands();
  const std::string word = argc > 1 ? argv[1] : "--help";
  const bool is_command = !word.starts_with("-");
  if (is_command && std::none_of(commands.begin(), commands.end(), [&](const Command& c) { return c.name == word; })) {
    return unknown_command(word, commands);
  }
  CLI::App app{"Fine-tunes Qwen language models.", "lathe"};
  app.set_version_flag("--version", "lathe " LATHE_VERSION);
  app.require_subcommand(1);
  std::function<int()> run;
  for (const Command& command : commands) {
    CLI::App* sub = app.add_subcommand(command.name, command.summary);
    if (command.name != word) continue;
    CommandOptions options(*sub);
    run = command.define(options);
  }
  try {
    if (argc > 1) {
      app.parse(argc, argv);
    } else {
      app.parse("--help");
    }
  } catch (const CLI::ParseError& error) {
    return answer_parse_error(app, error, is_command ? word : "");
  }
  return run();
} catch (...) {
  return report_current_exception();
}

}  // namespace lathe
