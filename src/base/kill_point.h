#pragma once
// For tests of a run that is killed: the process ends itself, as by SIGKILL, at a chosen write.
namespace lathe {

/// Reads LATHE_KILL_AT: "CALL" or "CALL:N" with CALL a name of the table in base/write_calls.h (open, write, fsync,
/// rename, mkdir, unlink, rmdir, truncate) or of a point in a save ("save.renamed"): the process dies at the N-th such
/// call, a write with half of its bytes written, every other call before it is made. Unset: nothing happens.
/// @throws Error(kConfig) when it cannot be read.
void install_kill_point();

}  // namespace lathe
