# Sourced by what fetches or builds into a folder: two front doors started at once take turns.

# is_complete FOLDER STAMP: whether it was fetched whole, from what the stamp stands for.
is_complete() { [[ -f $1/.complete && $(<"$1/.complete") == "$2" ]]; }

# one_at_a_time FOLDER: waits until no other run holds the folder; it is held until the script that called this ends.
one_at_a_time() {
  command -v flock >/dev/null || return 0  # util-linux: on every Debian and Ubuntu
  mkdir -p "$1"
  local lock
  exec {lock}>"$1/.lock"
  flock --nonblock "$lock" && return 0
  printf '%s: waiting for another run that works in %s\n' "${0##*/}" "$1" >&2
  flock "$lock"
}
