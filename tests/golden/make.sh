#!/bin/sh
# Remakes the golden files with the real Flax, JAX and Optax.
# usage: make.sh [VENV [OUT]]
#   VENV  where the Python environment lives, outside the tree (default ~/.cache/linseed/golden-venv)
#   OUT   where the JSON goes (default: beside this script)
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
venv=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/linseed/golden-venv}
out=${2:-$here}

if ! cmp -s "$here/requirements.txt" "$venv/installed.txt"; then
  echo "golden: installing the pinned packages into $venv"
  if ! python3 -m venv "$venv"; then
    echo "golden: python3 -m venv failed (Debian: apt-get install python3-venv)" >&2
    exit 1
  fi
  "$venv/bin/pip" install -qq --disable-pip-version-check -r "$here/requirements.txt"
  cp "$here/requirements.txt" "$venv/installed.txt"
fi

mkdir -p "$out"
# One thread and one instruction set: neither the cores nor the vector width of the machine may change a bit.
export JAX_PLATFORMS=cpu JAX_ENABLE_X64=0 NPROC=1 PJRT_NPROC=1 PYTHONDONTWRITEBYTECODE=1
export XLA_FLAGS="--xla_cpu_multi_thread_eigen=false --xla_cpu_max_isa=AVX2"
unset FLAX_FIX_RNG_SEPARATOR FLAX_RETURN_FROZENDICT JAX_THREEFRY_PARTITIONABLE JAX_DEFAULT_MATMUL_PRECISION
exec "$venv/bin/python" "$here/make_golden.py" "$out"
