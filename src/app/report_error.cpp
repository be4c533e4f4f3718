#include "app/report_error.h"

#include <c10/util/Exception.h>
#include <lathe/error.h>

#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include "base/signals.h"

namespace lathe {
namespace {

void print(const std::string& message, const std::string& hint) {
  std::fprintf(stderr, "error: %s\n", message.c_str());
  if (!hint.empty()) std::fprintf(stderr, "hint: %s\n", hint.c_str());
}

// The message with its place but without the hint, which gets a line of its own.
std::string without_hint(const Error& error) {
  std::string text = error.what();
  if (!error.hint().empty()) text.resize(text.size() - error.hint().size() - 2);
  return text;
}

int report_out_of_memory(const std::string& detail) {
  print("the machine has no memory left" + (detail.empty() ? "" : " (" + detail + ")"),
        "make the run smaller: per_device_train_batch_size, max_seq_length, lora_r, or gradient_checkpointing=true; "
        "`lathe plan -c FILE` shows what takes how much");
  return exit_code(ErrorKind::kMemory);
}

// libtorch's CPU allocator says the one or the other (c10/core/impl/alloc_cpu.cpp).
bool says_no_memory(const std::string& text) {
  return text.find("not enough memory") != std::string::npos || text.find("can't allocate memory") != std::string::npos;
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

}  // namespace

int report_current_exception() {
  try {
    throw;
  } catch (const Error& error) {
    print(without_hint(error), error.hint());
    return exit_code(error.kind(), stop_signal());
  } catch (const c10::OutOfMemoryError& error) {
    return report_out_of_memory(first_line(error.what_without_backtrace()));
  } catch (const c10::Error& error) {
    const std::string text = error.what_without_backtrace();
    // libtorch's CPU allocator reports a failed allocation as a plain c10::Error.
    if (says_no_memory(text)) return report_out_of_memory(first_line(text));
    print("libtorch: " + text, "");
    return exit_code(ErrorKind::kInternal);
  } catch (const std::bad_alloc&) {
    return report_out_of_memory("");
  } catch (const std::exception& error) {
    print(std::string("bug in Lathe, please report: ") + error.what(), "");
    return exit_code(ErrorKind::kInternal);
  } catch (...) {
    print("bug in Lathe, please report: an exception of an unknown type", "");
    return exit_code(ErrorKind::kInternal);
  }
}

}  // namespace lathe
