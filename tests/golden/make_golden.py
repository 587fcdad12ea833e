"""Writes the golden files. Run through make.sh.  usage: make_golden.py OUT [FILE...]"""

import importlib
import pathlib
import sys

from maker.encode import write

# File name -> module in maker/; its function <file name>_cases gives the cases.
FILES = {
    "random": "random",
    "initializers": "initializers",
    "init_params": "initializers",
    "layers": "layers",
    "linear": "linear",
    "norms": "norms",
    "attention": "attention",
    "recurrent": "recurrent",
    "modules": "modules",
    "activations": "functions",
    "losses": "functions",
    "further_functions": "further_functions",
    "ops": "ops",
    "optim": "optim",
    "optimizers": "optimizers",
    "further_optimizers": "further_optimizers",
    "curves": "curves",
    "long_curves": "long_curves",
    "curve_noise": "curve_noise",
    "inspect": "inspect",
    "initial_fields": "initial_fields",
    "gamma": "gamma",
    "jax_functions": "jax_functions",
    "mixed_optimizers": "mixed_optimizers",
}


def main():
    out = pathlib.Path(sys.argv[1])
    for name in sys.argv[2:] or FILES:
        module = importlib.import_module(f"maker.{FILES[name]}")
        path = out / f"{name}.json"
        cases = write(path, getattr(module, f"{name}_cases")())
        print(f"golden: {path.name}: {cases} cases, {path.stat().st_size} bytes", flush=True)


if __name__ == "__main__":
    main()
