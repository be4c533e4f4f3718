#include <fmt/format.h>
#include <lathe/error.h>

namespace lathe {
namespace {

std::string compose(const std::string& what, const Where& where, const std::string& hint) {
  std::string text;
  if (!where.file.empty()) {
    text += where.line > 0 ? fmt::format("{}:{}: ", where.file, where.line) : where.file + ": ";
  }
  if (!where.key.empty() && what.find("'" + where.key + "'") == std::string::npos) {
    text += "'" + where.key + "': ";
  }
  text += what;
  if (!hint.empty()) text += "; " + hint;
  return text;
}

}  // namespace

Error::Error(ErrorKind kind, std::string what, Where where, std::string hint)
    : kind_(kind),
      where_(std::move(where)),
      message_(std::move(what)),
      hint_(std::move(hint)),
      full_(compose(message_, where_, hint_)) {}

int exit_code(ErrorKind kind, int signal) {
  switch (kind) {
    case ErrorKind::kConfig:
    case ErrorKind::kData:
      return 2;
    case ErrorKind::kMemory:
      return 3;
    case ErrorKind::kInterrupted:
      return 128 + signal;
    case ErrorKind::kIo:
    case ErrorKind::kRun:
    case ErrorKind::kDistributed:
    case ErrorKind::kInternal:
      return 1;
  }
  return 1;
}

void internal_error(const char* condition, const char* file, int line) {
  throw Error(ErrorKind::kInternal, fmt::format("bug in Lathe, please report: {} does not hold", condition),
              {.file = file, .line = line});
}

}  // namespace lathe
