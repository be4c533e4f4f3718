#pragma once
/// The one exception type of Lathe, and the exit code that each kind of error leads to.
///
/// Thread-safety: values; throw and catch freely.
///
///     throw lathe::Error(lathe::ErrorKind::kConfig, "'lora_rr' is not a known key",
///                        {.file = "train.json", .line = 7, .key = "lora_rr"}, "did you mean 'lora_r'?");
#include <cstdint>
#include <exception>
#include <string>

namespace lathe {

enum class ErrorKind {
  kConfig,       ///< the user's settings or arguments are wrong            exit 2
  kData,         ///< the user's rows, model or tokenizer files are wrong   exit 2
  kMemory,       ///< does not fit; the message says what would             exit 3
  kIo,           ///< a read or write failed while running                  exit 1
  kRun,          ///< the run itself failed (loss not finite, …)            exit 1
  kDistributed,  ///< a rank failed                                         exit 1
  kInterrupted,  ///< a signal asked the run to stop, and it has saved      exit 128 + signal
  kInternal,     ///< a bug in Lathe                                        exit 1
};

/// What the message points at: a file of the user's (1-based line, 0: none) and a key in it. Each may be empty.
struct Where {
  std::string file;
  int64_t line = 0;
  std::string key;
};

class Error : public std::exception {
 public:
  /// @param what what is wrong, without a full stop.  @param hint what to do about it; may be empty.
  Error(ErrorKind kind, std::string what, Where where = {}, std::string hint = {});

  [[nodiscard]] ErrorKind kind() const { return kind_; }
  [[nodiscard]] const Where& where() const { return where_; }
  [[nodiscard]] const std::string& message() const { return message_; }  ///< what is wrong, alone
  [[nodiscard]] const std::string& hint() const { return hint_; }
  /// "FILE:LINE: 'KEY': what is wrong; hint"
  [[nodiscard]] const char* what() const noexcept override { return full_.c_str(); }

 private:
  ErrorKind kind_;
  Where where_;
  std::string message_, hint_, full_;
};

/// @param signal the signal's number when kind is kInterrupted.
[[nodiscard]] int exit_code(ErrorKind kind, int signal = 0);

/// Throws Error(kInternal) with "bug in Lathe, please report". For invariants of our own, never for a user's mistake.
[[noreturn]] void internal_error(const char* condition, const char* file, int line);

#define LATHE_ASSERT(condition) \
  ((condition) ? static_cast<void>(0) : ::lathe::internal_error(#condition, __FILE__, __LINE__))

}  // namespace lathe
