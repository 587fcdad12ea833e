"""ops.json: jax.numpy and lax operations forward and backward, dtype rules, casts."""

import json
import subprocess
import sys

from .array_ops import convolutions, products, reduce, shapes
from .elementwise import binary, casts, select, unary


def ops_cases():
    for family in (binary, unary, select, reduce, products, convolutions, shapes, casts):
        yield from family()
    # Dtype rules and 64-bit casts need a process of their own: x64 is decided once.
    for flag in ("0", "1"):
        command = [sys.executable, "-m", "maker.dtypes", flag]
        text = subprocess.run(command, check=True, capture_output=True, text=True, cwd=sys.path[0]).stdout
        yield from json.loads(text)
