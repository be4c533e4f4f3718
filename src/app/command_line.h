#pragma once
// The command table: `lathe COMMAND …`, and the one place where errors become exit codes.
namespace lathe {

/// Parses the words, runs the command, prints what went wrong. @returns the process's exit code (docs/cli.md).
int run_command_line(int argc, char** argv);

}  // namespace lathe
