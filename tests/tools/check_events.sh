#!/bin/sh
# Reads TensorBoard event files with the real TensorBoard and compares them with the history of the same run.
#   sh tests/tools/check_events.sh [VENV]    where the Python environment lives (default ~/.cache/linseed/tensorboard-venv)
# The run is a short one of build/release/bin/lenet_concise.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
venv=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/linseed/tensorboard-venv}
packages="tensorboard==2.20.0 setuptools==80.9.0"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if [ "$(cat "$venv/installed.txt" 2>/dev/null)" != "$packages" ]; then
  echo "check_events: installing $packages into $venv"
  python3 -m venv "$venv"
  # shellcheck disable=SC2086  # one argument per package
  "$venv/bin/pip" install -qq --disable-pip-version-check $packages
  echo "$packages" >"$venv/installed.txt"
fi

MAX_EPOCH=3 DATASET_LIMIT=1000 "$root/build/release/bin/lenet_concise" embedded "$scratch/run" >/dev/null
"$venv/bin/python" - "$scratch/run" <<'PYTHON'
import glob, json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto import event_pb2
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New  # checks both CRCs of a record

run = sys.argv[1]
history = [json.loads(line) for line in open(f"{run}/history.jsonl")]
assert len(history) == 3, history
compared = 0
for part in ("train", "validation"):
    (path,) = glob.glob(f"{run}/{part}/events.out.tfevents.*")
    first = event_pb2.Event.FromString(next(iter(RawEventFileLoader(path).Load())))
    assert first.file_version == "brain.Event:2", first
    reader = PyRecordReader_New(path)
    records = 0
    while True:
        try:
            reader.GetNext()
        except Exception as end:
            assert "OutOfRange" in type(end).__name__, end
            break
        records += 1
    accumulator = EventAccumulator(f"{run}/{part}")
    accumulator.Reload()
    tags = accumulator.Tags()["scalars"]
    assert {"loss", "accuracy"} <= set(tags), tags
    assert records == 1 + sum(len(accumulator.Scalars(tag)) for tag in tags), records
    for tag in tags:
        points = accumulator.Scalars(tag)
        name = tag if tag == "examples_per_second" else f"{part}_{tag}"
        assert [point.step for point in points] == [record["step"] for record in history], (tag, points)
        for point, record in zip(points, history, strict=True):
            assert abs(point.value - record[name]) <= 1e-6 * abs(record[name]), (tag, point, record)
            compared += 1
print(f"check_events: TensorBoard reads {compared} points as the history has them")
PYTHON
