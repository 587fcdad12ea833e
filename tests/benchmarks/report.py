"""Runs the same jobs in linseed and its peers, interleaved, and writes what they took between the markers of a page."""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent / "peers"
BEGIN, END = "<!-- benchmarks: written by tests/benchmarks/run.sh -->", "<!-- end of benchmarks -->"
JOBS = {
    "lenet_train": ("batch-norm LeNet, training", 256),
    "lenet_fed": ("batch-norm LeNet, training, fed by a shuffled loader", 256),
    "lenet_eval": ("batch-norm LeNet, evaluation", 256),
    "wide_train": ("MLP 784-1024-1024-10 with batch norm, training", 256),
    "guide_train": ("MLP of the Flax guide, batch 8, adam", 8),
    "resnet_train": ("ResNet-18 of 32 x 32 images, training, batch 32", 32),
    "resnet_train_128": ("ResNet-18 of 32 x 32 images, training, batch 128", 128),
    "resnet_eval": ("ResNet-18 of 32 x 32 images, evaluation, batch 32", 32),
    "resnet_eval_128": ("ResNet-18 of 32 x 32 images, evaluation, batch 128", 128),
}
# What a step of a job costs at least to compute, padding included, in FLOPs.
NOMINAL_FLOPS = {"lenet_train": 1004e6, "lenet_fed": 1004e6}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", required=True, help="the program benchmark_jobs")
    parser.add_argument("--page", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each library in each round")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", nargs="+", choices=JOBS, default=list(JOBS))
    return parser.parse_args()


def libraries(jobs):
    python = [sys.executable]
    return {
        "linseed": ([jobs], []),
        f"JAX {version('jax')}, Flax {version('flax')}": (python + [str(HERE / "jax_jobs.py")], []),
        f"PyTorch {version('torch')}": (python + [str(HERE / "torch_jobs.py")], ["eager"]),
        "torch.compile": (python + [str(HERE / "torch_jobs.py")], ["compile"]),
    }


def run(command, job, threads, seconds):
    """Milliseconds of every step, seconds from start to end, and the peak of the memory in MB."""
    program, mode = command
    # A file, not a pipe: os.wait4 tells the child's own memory only if nobody else waits for it.
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        child = subprocess.Popen(
            program + [job, str(threads), str(seconds)] + mode, stdout=output, stderr=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(child.pid, 0)
        elapsed = time.perf_counter() - start
        if status != 0:
            raise SystemExit(f"{' '.join(program)} {job} failed with status {status}")
        output.seek(0)
        return json.loads(output.read().splitlines()[-1]), elapsed, usage.ru_maxrss / 1024


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            name = line.split(":")[1].strip()
        if line.startswith("flags"):
            return f"{name}, {'AVX-512' if 'avx512f' in line else 'AVX2' if 'avx2' in line else 'neither AVX2 nor AVX-512'}"
    return platform.machine()


def measure(options):
    table = {}
    for job in options.only:
        for threads in options.threads:
            medians, starts, memory, peaks = {}, {}, {}, []
            for _ in range(options.rounds):
                peaks.append(statistics.median(run(([options.jobs], []), "fma_peak", threads, 0.2)[0]))
                for name, command in libraries(options.jobs).items():
                    steps, _, peak = run(command, job, threads, options.seconds)
                    medians.setdefault(name, []).append(statistics.median(steps))
                    memory[name] = max(memory.get(name, 0), peak)
                    if name not in starts:
                        starts[name] = run(command, job, threads, 0)[1]
            table[job, threads] = (medians, starts, memory, statistics.median(peaks))
            print(job, threads, {name: f"{statistics.median(m):.3f} ms" for name, m in medians.items()}, flush=True)
            print(f"  multiply-adds alone: {share_of_peak(job, table[job, threads])}")
    return table


def share_of_peak(job, row):
    """The multiply-add peak measured in the same run, and how much of it linseed's step reaches."""
    medians, _, _, peak = row
    if job not in NOMINAL_FLOPS:
        return f"{peak:.0f}"
    rate = NOMINAL_FLOPS[job] / statistics.median(medians["linseed"]) * 1e-6
    return f"{peak:.0f}, {rate / peak:.0%} reached"


def rows_of(page, start):
    """The rows of the table that begins with `start`, by job and threads."""
    rows, inside = {}, False
    for line in page.splitlines():
        if not line.startswith("|"):
            inside = False
        elif line.startswith(start):
            inside = True
        elif inside and not line.startswith("|---"):
            title, threads = (cell.strip() for cell in line.split("|")[1:3])
            rows.setdefault((title, int(threads)), []).append(line)
    return rows


def ordered(rows):
    titles = [title for title, _ in JOBS.values()]
    keys = sorted((key for key in rows if key[0] in titles), key=lambda key: (titles.index(key[0]), key[1]))
    return [line for key in keys for line in rows[key]]


BRIEF = "| milliseconds per step |"
DETAILS = "| job |"


def page(options, table, old):
    """The text between the markers: the rows of this run, and those of jobs that it left out as they stood."""
    brief, details = rows_of(old, BRIEF), rows_of(old, DETAILS)
    for (job, threads), row in table.items():
        medians, starts, memory, _ = row
        title, batch = JOBS[job]
        step = {name: statistics.median(m) for name, m in medians.items()}
        best = min(time for name, time in step.items() if name != "linseed")
        times = " | ".join(f"{milliseconds:.4g}" for milliseconds in step.values())
        brief[title, threads] = [f"| {title} | {threads} | {times} | {best / step['linseed']:.1f} |"]
        details[title, threads] = [
            f"| {title} | {threads} | {name} | {milliseconds:.4g} | {batch * 1e3 / milliseconds:,.0f} | "
            f"{f'{best / milliseconds:.1f}' if name == 'linseed' else ''} | {starts[name]:.2f} | {memory[name]:.0f} | "
            f"{share_of_peak(job, row) if name == 'linseed' else ''} |"
            for name, milliseconds in step.items()
        ]
    names = list(libraries(options.jobs))
    lines = [
        BEGIN,
        "Median over the rounds of each round's median step; the libraries take turns within a round. *Ratio* is the time "
        "of the fastest peer over that of linseed. *Start* is from the start of the process to its end after one step, "
        "without reading data. *Memory* is the peak of the process. *Multiply-adds* are what the machine reaches in "
        f"registers alone, measured in the same run, and the share of a step of {NOMINAL_FLOPS['lenet_train'] * 1e-6:.0f} "
        "MFLOP.",
        "",
        f"{processor()}, {os.cpu_count()} cores. The latest run: {options.rounds} round{'s' * (options.rounds > 1)} of "
        f"{options.seconds:g} s, by "
        "`tests/benchmarks/run.sh`, which leaves the rows of jobs that it is not asked for as they are.",
        "",
        "<!-- brief: milliseconds per step -->",
        f"{BRIEF} threads | {' | '.join(names)} | ratio |",
        "|---|---|" + "---|" * (len(names) + 1),
        *ordered(brief),
        "<!-- details -->",
        "",
        f"{DETAILS} threads | library | ms per step | examples/s | ratio | start, s | memory, MB | multiply-adds, GFLOP/s |",
        "|---|---|---|---|---|---|---|---|---|",
        *ordered(details),
    ]
    return "\n".join(lines + [END])


def main():
    options = arguments()
    table = measure(options)
    old = options.page.read_text() if options.page.exists() else "# Performance\n\n"
    text = page(options, table, old)
    if BEGIN in old:
        before, rest = old.split(BEGIN, 1)
        new = before + text + rest.split(END, 1)[1]
    else:
        new = old.rstrip() + "\n\n## Beside other libraries\n\n" + text + "\n"
    options.page.write_text(new)


main()
