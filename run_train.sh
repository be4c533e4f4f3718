#!/usr/bin/env bash
# Trains. Without arguments: the embedded demo.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
  cat <<'TEXT'
usage: ./run_train.sh                                 the embedded demo, about a minute on two cores
       ./run_train.sh -t PRESET [key=value …]         a preset
       ./run_train.sh -c FILE.json [key=value …]      your own config; key=value overrides a key

presets (-t, --type):
  demo            the shipped tiny model and rows
  full            every weight trains
  lora            low-rank adapters over a frozen base
  qlora           adapters over a 4-bit base
  qlora_8bit      adapters over an 8-bit base
  deepspeed       ZeRO stage 2
  stage2_offload  ZeRO stage 2, optimizer state on the CPU
  stage3          ZeRO stage 3
  minimal         ZeRO stage 3 with everything offloaded
  bf16, simple    the toolkit's two further configs

  -h, --help      this text; `build/lathe train --help` lists every key
TEXT
}

arguments=()
type="" config=""
while (($#)); do
  case $1 in
    -h|--help) usage; exit 0 ;;
    -t|--type|-c|--config)
      (($# >= 2)) || { echo "run_train.sh: $1 wants a value" >&2; usage >&2; exit 2; }
      if [[ $1 == -t || $1 == --type ]]; then type=$2; else config=$2; fi
      shift 2 ;;
    -*) echo "run_train.sh: unknown option $1" >&2; usage >&2; exit 2 ;;
    *=*) arguments+=("$1"); shift ;;
    *) echo "run_train.sh: '$1' is neither an option nor key=value" >&2; usage >&2; exit 2 ;;
  esac
done

"$root/scripts/bootstrap"
"$root/scripts/build"
lathe=${LATHE_BUILD_DIR:-$root/build}/lathe
# A thread of OpenMP's that waits for another spins. Beside other busy processes it then keeps from a core the very thread
# that it waits for: it is to sleep soon (docs/cli.md). Whoever has said how threads wait is left alone.
if [[ -z ${OMP_WAIT_POLICY-} ]]; then
  export GOMP_SPINCOUNT=${GOMP_SPINCOUNT-20000}
fi
if [[ -n $config ]]; then
  exec "$lathe" train -c "$config" "${arguments[@]}"
fi
exec "$lathe" train -t "${type:-demo}" "${arguments[@]}"
