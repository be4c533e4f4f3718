#pragma once
// What a command is: a name, a sentence, the words it takes, and the function that does it. CLI11 stays behind this.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace lathe {

/// The words a command takes. Each call binds one to a variable that must live until the command has run.
/// Names as "-m,--model"; a name without dashes is a positional word. Help ends up in `lathe COMMAND --help`.
class CommandOptions {
 public:
  explicit CommandOptions(CLI::App& app) : app_(app) {}
  void required(const std::string& name, std::string& value, const std::string& help);
  void required(const std::string& name, std::vector<std::string>& values, const std::string& help);
  void option(const std::string& name, std::string& value, const std::string& help);
  void option(const std::string& name, std::optional<std::string>& value, const std::string& help);
  void option(const std::string& name, int64_t& value, const std::string& help);
  void option(const std::string& name, uint64_t& value, const std::string& help);
  void option(const std::string& name, double& value, const std::string& help);
  void option(const std::string& name, std::vector<std::string>& values, const std::string& help);
  void flag(const std::string& name, bool& value, const std::string& help);
  /// Text below the list of words.
  void footer(const std::string& text);
  void footer(std::function<std::string()> text);

 private:
  CLI::App& app_;
};

struct Command {
  std::string name;
  std::string summary;  ///< one line of `lathe --help`
  /// Declares the command's words and returns what runs it; that function's result is the process's exit code.
  /// Failing is throwing Error: errors become exit codes in one place (app/report_error.h).
  std::function<std::function<int()>(CommandOptions&)> define;
};

}  // namespace lathe
