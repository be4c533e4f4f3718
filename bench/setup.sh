#!/usr/bin/env bash
# Makes the environment of the further rivals of bench/run (trl, DeepSpeed), pinned by hash, in $LATHE_DEPS_DIR/rivals (default
# .deps/rivals). It stands on the environment of tests/oracle/setup.sh: torch, transformers, peft and accelerate are that one's, so
# every rival runs on the same. Nothing is done when it is there already. Tests never need it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
deps=${LATHE_DEPS_DIR:-$(cd "$here/.." && pwd)/.deps}
environment=$deps/rivals
requirements=$here/requirements.txt

say() { printf 'bench/setup.sh: %s\n' "$*" >&2; }

"$here/../tests/oracle/setup.sh"
oracle=$deps/oracle
[[ -f $oracle/.complete ]] || { say "error: there is no $oracle: tests/oracle/setup.sh did not make it (is LATHE_LIVE_ORACLE=0 set?)"; exit 1; }
stamp="$(sha256sum "$requirements" | cut -d' ' -f1) $(<"$oracle/.complete")"
source "$here/../scripts/lock.sh"
is_complete "$environment" "$stamp" && exit 0
one_at_a_time "$deps"
is_complete "$environment" "$stamp" && exit 0

say "fetching trl, DeepSpeed and what they need: 80 MB to download, 0.3 GB in $environment"
rm -rf "$environment"
"$oracle/bin/python" -m venv "$environment"
site() { "$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }
site "$oracle" > "$(site "$environment")/oracle.pth"

install() {
  "$environment/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes "$@" \
    || { say "error: fetching failed (see above)"; exit 1; }
}
wheels=$(mktemp)
trap 'rm -f "$wheels" "$wheels.source"' EXIT
grep -v '^deepspeed' "$requirements" > "$wheels"
grep '^deepspeed' "$requirements" > "$wheels.source"
install --only-binary=:all: -r "$wheels"
DS_BUILD_OPS=0 install --no-build-isolation -r "$wheels.source"  # with the setuptools pinned above
say "building DeepSpeed's CPU Adam"
TORCH_EXTENSIONS_DIR=$environment/torch_extensions DS_ACCELERATOR=cpu PATH=$environment/bin:$PATH "$environment/bin/python" -c '
from deepspeed.ops.op_builder import CPUAdamBuilder
CPUAdamBuilder().load(verbose=False)' > "$environment/cpu_adam.log" 2>&1 \
  || say "that failed ($environment/cpu_adam.log): the rows of DeepSpeed will say so"
printf '%s\n' "$stamp" > "$environment/.complete"
