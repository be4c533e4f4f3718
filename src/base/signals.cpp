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
  int expected = 0;
  if (!g_stop.compare_exchange_strong(expected, signal)) _exit(128 + signal);
}

void on_save(int) {
  g_save = true;
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
  if (const int signal = stop_signal(); signal != 0) {
    throw Error(ErrorKind::kInterrupted, signal == SIGINT ? "interrupted (SIGINT)" : "asked to stop (SIGTERM)");
  }
}

}  // namespace lathe
