#!/bin/sh
# Times linseed beside JAX and PyTorch, one after the other in turn, and writes the table into docs/performance.md.
#   sh tests/benchmarks/run.sh [arguments for report.py]
# The peers live in a virtual environment outside the tree: $LINSEED_PEERS, or ~/.cache/linseed/peers. Nothing else should
# run on the machine meanwhile.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tests/benchmarks
peers=${LINSEED_PEERS:-$HOME/.cache/linseed/peers}

if ! "$peers/bin/python" -c "import jax, flax, optax, torch" 2>/dev/null; then
  echo "Installing the peers into $peers"
  python3 -m venv "$peers"
  "$peers/bin/pip" install --quiet -r "$here/peers/requirements.txt"
fi
cmake --preset release -S "$root" -DLINSEED_BUILD_BENCHMARKS=ON >/dev/null
cmake --build "$root/build/release" --target benchmark_jobs
exec "$peers/bin/python" "$here/report.py" --jobs "$root/build/release/bin/benchmark_jobs" \
  --page "$root/docs/performance.md" "$@"
