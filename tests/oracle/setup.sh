#!/usr/bin/env bash
# Makes the Python environment that the live comparisons run in: transformers + peft, pinned by hash, in
# $LATHE_DEPS_DIR/oracle (default .deps/oracle). Nothing is done when it is there already, or when LATHE_LIVE_ORACLE=0.
#   LATHE_ORACLE_PYTHON  the interpreter to build on (default: the first of python3, python3.11, 3.12, 3.13 that fits)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
deps=${LATHE_DEPS_DIR:-$(cd "$here/../.." && pwd)/.deps}
environment=$deps/oracle
requirements=$here/requirements.txt

say() { printf 'oracle: %s\n' "$*" >&2; }

source "$here/../../scripts/lock.sh"
[[ ${LATHE_LIVE_ORACLE:-1} != 0 ]] || { say "left out (LATHE_LIVE_ORACLE=0)"; exit 0; }
stamp=$(sha256sum "$requirements" | cut -d' ' -f1)
is_complete "$environment" "$stamp" && exit 0
one_at_a_time "$deps"
is_complete "$environment" "$stamp" && exit 0

fits() { "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; }
python=""
for candidate in ${LATHE_ORACLE_PYTHON:-python3 /usr/bin/python3 python3.11 python3.12 python3.13}; do
  if fits "$candidate"; then python=$candidate; break; fi
done
if [[ $(uname -m) != x86_64 || -z $python ]]; then
  say "live comparisons are left out: they need x86-64 and Python 3.11 to 3.13 with venv (set LATHE_ORACLE_PYTHON)"
  exit 0
fi

say "fetching transformers, peft and torch: up to 2.1 GB to download (torch's 0.55 GB comes from pip's cache where the"
say "build fetched it before), 4.0 GB in $environment; LATHE_LIVE_ORACLE=0 or ./run_tests.sh --no-live leaves this out"
rm -rf "$environment"
"$python" -m venv "$environment"
"$environment/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
  --only-binary=:all: --no-compile -r "$requirements" || {
    say "error: fetching failed (see above). Without a network: ./run_tests.sh --no-live"
    exit 1
  }
printf '%s\n' "$stamp" > "$environment/.complete"
