#include "base/signals.h"

#include <lathe/error.h>
#include <unistd.h>

#include <atomic>
#include <csignal>

namespace lathe {
namespace {

std::atomic<int> g_stop{0};
std::atomic<bool> g_save{false};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

void on_stop(int signal) {
  const int before = g_stop.exchange(signal);
  if (before != 0 && before != SIGHUP) _exit(128 + signal);
}

// A terminal that goes away says so more than once (the kernel, the shell, the session's manager), so this one never
// leaves at once.
void on_hangup(int signal) {
  int expected = 0;
  g_stop.compare_exchange_strong(expected, signal);
}

void on_save(int) {
  g_save = true;
}

bool ignored(int signal) {
  struct sigaction action {};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

void install(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;  // a read or write that was under way goes on
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, nullptr);
}

}  // namespace

void install_signal_handlers() {
  install(SIGTERM, on_stop);
  install(SIGINT, on_stop);
  if (!ignored(SIGHUP)) install(SIGHUP, on_hangup);  // nohup: the run is to go on
  install(SIGUSR1, on_save);
}

void ignore_broken_pipes() {
  install(SIGPIPE, SIG_IGN);
}

int stop_signal() {
  return g_stop;
}

bool take_save_request() {
  return g_save.exchange(false);
}

void throw_if_stopped() {
  switch (stop_signal()) {
    case 0: return;
    case SIGINT: throw Error(ErrorKind::kInterrupted, "interrupted (SIGINT)");
    case SIGHUP: throw Error(ErrorKind::kInterrupted, "the terminal went away (SIGHUP)");
    default: throw Error(ErrorKind::kInterrupted, "asked to stop (SIGTERM)");
  }
}

}  // namespace lathe
