"""Writes docs/parity.md: every public name of Flax linen, Optax and the parts of JAX that a trainer uses, what linseed
calls it, and how far the golden tests found linseed from it.

    rm -f deviations.jsonl
    LINSEED_DEVIATIONS=$PWD/deviations.jsonl ctest --test-dir build/release -LE consumer -j 1
    python docs/parity/make.py deviations.jsonl       # with the environment of tests/golden/make.sh
"""

import json
import pathlib
import re
import sys
import types

import flax.linen
import jax
import jax.lax
import jax.nn
import jax.numpy
import jax.random
import optax

HERE = pathlib.Path(__file__).parent
MODULES = {
    "flax.linen": flax.linen,
    "flax.linen.Module": flax.linen.Module,
    "optax": optax,
    "optax.losses": optax.losses,
    "jax.nn": jax.nn,
    "jax.nn.initializers": jax.nn.initializers,
    "jax.random": jax.random,
}
SELECTED = ("jax", "jax.numpy", "jax.lax")  # only what mapping.txt lists
HEADING = """# Parity with Flax, Optax and JAX

Made by `docs/parity/make.py` from the packages' own names, `docs/parity/mapping.txt` and what the golden tests measured;
not to be edited. "Largest deviation" is the largest over all golden cases of that name, of values, gradients and states:
relative to the element, or to a tenth of the largest element of its array where that is more, or to the scale below which
the test compares absolutely. 0 means the same numbers. "-" means that no golden test measures the name itself; "built in"
that a type or the language does it; "absent" that linseed does not have it yet. Of jax, jax.numpy and jax.lax only names
that trainers use are listed.
"""

DEPARTURES = """## Where linseed departs, and why

- Normalization with a `mask` that leaves nothing of a statistic: Flax computes 0 / 0, and running statistics never
  lose the NaN. BatchNorm normalizes such a feature by its running statistics, which stay as they are; LayerNorm,
  RMSNorm, GroupNorm and InstanceNorm take mean 0 and variance 1. `nn::standardize`, a function, gives NaN as
  `jax.nn.standardize` does.
- An empty batch in training: Flax's BatchNorm makes the running statistics NaN, linseed's throws ValueError.
- WeightNorm and SpectralNorm wrap layers that give one Array; Flax's pass on whatever their layer gives.
- The layer inside of a WeightNorm may update variables that are not normalized; Flax allows no update there.
- `optim::lookahead` takes gradients for both sets of parameters, as a loss of `params["fast"]` gives them; Optax's
  takes those of the fast ones.
- Gradients of `SimpleCell` and `ConvLSTMCell` are up to 1.2e-5 of an element from Flax's float32 ones, and within
  3e-6 of the same computed by Flax in float64: XLA's tanh is up to 1.5 ulp off, and its derivative 1 - tanh^2
  magnifies that.
- `resnet_fashion_momentum` in float32 parts from Flax, as Flax does from itself. All runs agree within 1e-6 for 60
  steps. Then inputs of relus come so near to zero that the last bits decide: counted from 0, at step 65 one in the
  second block is -3e-7 in float64 and 1e-6 in float32; at step 68 another is 1e-6 in eager Flax and -7e-7 in linseed.
  After two hundred steps the loss is 9e-5 away and running statistics 9e-3. Jitted Flax is 2e-4 and 8e-3 from eager
  Flax; with one ulp more in one parameter, 2e-4 and 8e-3 from itself (`tests/golden/curve_noise.json`) and up to 1.3e-2
  from eager Flax. In float64 nothing parts: see the rows "in float64". (That of the
  guide's model is the mean that follows the bias before BatchNorm, whose gradient is nothing but rounding; all else is
  within 1e-9.)
- `mu_dtype` of the optimizers is float32 or float64: there is no narrower dtype yet.
- Draws have no gradient with respect to their parameters; those of `jax.random.gamma` and its kin have one in JAX.
- `orthogonal` is computed in double and rounded once. JAX factorizes in float32 by LAPACK, whose last bits depend on
  the kernels that OpenBLAS picks for a processor (for 7 x 5 those of Haswell and Skylake-X differ already), so that no
  fixed bits are JAX's. They differ by less than 1e-6.
- `optax.sm3` fails for a leaf without axes by an IndexError, linseed by a ShapeError that names the leaf.
"""


def mapping():
    names = {}
    for number, line in enumerate((HERE / "mapping.txt").read_text().splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        name, _, rest = line.partition(" = ")
        linseed, _, measured = rest.partition(" ; ")
        assert linseed and name not in names, f"mapping.txt:{number}: {line}"
        names[name] = (linseed.strip(), measured.strip() or name)
    return names


def deviations(paths):
    """The largest deviation and the number of comparisons for each name."""
    result = {}
    for path in paths:
        for line in pathlib.Path(path).read_text().splitlines():
            entry = json.loads(line)
            largest, count = result.get(entry["name"], (0.0, 0))
            result[entry["name"]] = (max(largest, entry["deviation"]), count + entry["comparisons"])
    return result


def resolve(name):
    """The object of a dotted name, or None."""
    thing = {"jax": jax, "optax": optax}.get(name.split(".")[0], None)
    if name.startswith("flax.linen"):
        thing, name = flax.linen, name[len("flax.") :]
    for part in name.split(".")[1:]:
        if not hasattr(thing, part):
            return None
        thing = getattr(thing, part)
    return thing


def public(module):
    names = [n for n in dir(module) if not n.startswith("_") and not isinstance(getattr(module, n), types.ModuleType)]
    # What Optax has at its top too is listed there.
    return [n for n in names if module is not optax.losses or not hasattr(optax, n)]


def rows_of(section, names):
    """(name, linseed's, measured as) of one table."""
    if section in SELECTED:
        belongs = [n for n in names if n.startswith(section + ".") and not n.startswith(tuple(MODULES))]
        if section == "jax":
            belongs = [n for n in belongs if not n.startswith(("jax.numpy.", "jax.lax."))]
        listed = sorted(belongs, key=str.lower)
    else:
        listed = [f"{section}.{n}" for n in public(MODULES[section])]
    for name in listed:
        linseed, measured = names.get(name, ("absent", name))
        if section == "jax.nn" and name not in names:  # most are what flax.linen calls by the same name
            twin = name.replace("jax.nn.", "flax.linen.")
            if twin in names and resolve(twin) is resolve(name):
                linseed, measured = names[twin]
        yield name, linseed, measured


def check(names):
    """No line may speak of a name that does not exist, on either side."""
    headers = "".join(p.read_text() for p in (HERE.parents[1] / "include").rglob("*.hpp"))
    for name, (linseed, _) in names.items():
        assert resolve(name) is not None, f"mapping.txt: {name} does not exist"
        if linseed in ("absent", "built in"):
            continue
        word = linseed.rsplit("::", 1)[-1]
        pattern = re.escape(word) if word.startswith("operator") else rf"\b{re.escape(word)}\b"
        assert re.search(pattern, headers), f"mapping.txt: no header has {linseed} ({name})"


def main():
    names, measured = mapping(), deviations(sys.argv[1:])
    check(names)
    text = [HEADING]
    packages = f"flax {flax.__version__}, optax {optax.__version__}, jax {jax.__version__}"
    text.append(f"Against {packages}, on a CPU in float32.\n")
    curves = {n[len("curve.") :]: d for n, (d, _) in measured.items() if n.startswith("curve.")}
    if curves:
        text.append("## Training curves\n")
        text.append("Two hundred steps from the same seed and batches: the largest relative deviation of the loss, and of")
        text.append("the running statistics after 50 and 200 steps.\n")
        text += ["| run | largest deviation |", "|---|---|"]
        text += [f"| {name} | {deviation:.1e} |" for name, deviation in sorted(curves.items())]
        text.append("")
    text.append(DEPARTURES)
    for section in (*MODULES, *SELECTED):
        rows = list(rows_of(section, names))
        present = sum(linseed != "absent" for _, linseed, _ in rows)
        text += [f"## {section}\n", f"{present} of {len(rows)} names.\n"]
        text += ["| name | linseed | largest deviation | comparisons |", "|---|---|---|---|"]
        for name, linseed, subject in rows:
            cells = ("-", "-")
            if linseed != "absent" and subject in measured:
                deviation, count = measured[subject]
                cells = ("0" if deviation == 0 else f"{deviation:.1e}", str(count))
            shown = linseed if linseed in ("absent", "built in") else f"`{linseed.replace('|', chr(92) + '|')}`"
            text.append(f"| `{name}` | {shown} | {cells[0]} | {cells[1]} |")
        text.append("")
    (HERE.parent / "parity.md").write_text("\n".join(text))


if __name__ == "__main__":
    main()
