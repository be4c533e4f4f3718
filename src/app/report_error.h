#pragma once
// The one place where an exception becomes words and an exit code.
namespace lathe {

/// Called inside a catch block: prints the exception being handled to standard error ("error: …", then "hint: …" where
/// there is one) and returns the exit code of docs/cli.md.
[[nodiscard]] int report_current_exception();

}  // namespace lathe
