#pragma once
// SIGTERM, SIGINT and SIGHUP (save and leave) and SIGUSR1 (save and go on). A handler only sets a flag; long loops ask.
namespace lathe {

/// Installs the handlers. A second SIGTERM or SIGINT leaves the process at once (128 + signal), nothing half-done kept.
/// SIGHUP stays ignored where it is already (nohup).
void install_signal_handlers();
/// A reader of the program's output that went away (`… | tee log`, ended by the same Ctrl-C) ends no run: what it does
/// not take is lost.
void ignore_broken_pipes();
/// Number of the SIGTERM, SIGINT or SIGHUP that asked the run to stop; 0: none.
[[nodiscard]] int stop_signal();
/// True once for each SIGUSR1 (or several that came together).
[[nodiscard]] bool take_save_request();
/// For loops before training (loading, tokenising): @throws Error(kInterrupted) when a stop was asked for.
void throw_if_stopped();

}  // namespace lathe
