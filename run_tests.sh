#!/usr/bin/env bash
# Sets up, builds and runs every test; ends with ctest's own summary.
#   --no-live            leave out the live comparisons with transformers + peft (as LATHE_LIVE_ORACLE=0 does)
#   anything else        goes to ctest (-R REGEX, -L LABEL, …)
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
live=${LATHE_LIVE_ORACLE:-1}
arguments=()
for word in "$@"; do
  if [[ $word == --no-live ]]; then live=0; else arguments+=("$word"); fi
done
export LATHE_LIVE_ORACLE=$live

"$root/scripts/bootstrap"
"$root/scripts/build" all
if [[ $live == 1 ]]; then
  "$root/tests/oracle/setup.sh"
fi
build=${LATHE_BUILD_DIR:-$root/build}
exec ctest --test-dir "$build" --output-on-failure --no-tests=error -j "$(nproc)" "${arguments[@]}"
