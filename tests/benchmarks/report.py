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
    "lenet_eval": ("batch-norm LeNet, evaluation", 256),
    "wide_train": ("MLP 784-1024-1024-10 with batch norm, training", 256),
    "guide_train": ("MLP of the Flax guide, batch 8, adam", 8),
    "resnet_train": ("ResNet-18 of 32 x 32 images, training, batch 32", 32),
    "resnet_train_128": ("ResNet-18 of 32 x 32 images, training, batch 128", 128),
    "resnet_eval": ("ResNet-18 of 32 x 32 images, evaluation, batch 32", 32),
}
# What a step of a job costs at least to compute, padding included, in FLOPs.
NOMINAL_FLOPS = {"lenet_train": 1004e6}


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
                    starts.setdefault(name, []).append(run(command, job, threads, 0)[1])
            table[job, threads] = (medians, starts, memory, statistics.median(peaks))
            print(job, threads, {name: f"{statistics.median(m):.3f} ms" for name, m in medians.items()}, flush=True)
            print(f"  multiply-adds alone: {statistics.median(peaks):.0f} GFLOP/s.{share_of_peak(job, table[job, threads])}")
    return table


def share_of_peak(job, row):
    """How much of the multiply-add peak that was measured in the same run linseed's step reaches."""
    medians, _, _, peak = row
    if job not in NOMINAL_FLOPS:
        return ""
    rate = NOMINAL_FLOPS[job] / statistics.median(medians["linseed"]) * 1e-6
    return f" {JOBS[job][0]}: linseed reaches {rate / peak:.0%} of it ({NOMINAL_FLOPS[job] * 1e-6:.0f} nominal MFLOP)."


def peaks(table):
    """The multiply-add peak for each number of threads, and the shares of it."""
    lines = ["Fused multiply-adds that never leave the registers, in the same run:"]
    for threads in sorted({threads for _, threads in table}):
        rates = [row[3] for (_, of_row), row in table.items() if of_row == threads]
        lines.append(f"- {threads} thread{'s' * (threads > 1)}: {statistics.median(rates):.0f} GFLOP/s.")
        for (job, of_row), row in table.items():
            if of_row == threads and job in NOMINAL_FLOPS:
                lines[-1] += share_of_peak(job, row)
    return lines + [""]


def brief(table):
    """One row per job: milliseconds of each library."""
    names = list(next(iter(table.values()))[0])
    lines = [
        "<!-- brief: milliseconds per step -->",
        f"| milliseconds per step | threads | {' | '.join(names)} | ratio |",
        "|---|---|" + "---|" * (len(names) + 1),
    ]
    for (job, threads), (medians, _, _, _) in table.items():
        step = {name: statistics.median(m) for name, m in medians.items()}
        best = min(time for name, time in step.items() if name != "linseed")
        times = " | ".join(f"{step[name]:.4g}" for name in names)
        lines.append(f"| {JOBS[job][0]} | {threads} | {times} | {best / step['linseed']:.1f} |")
    return lines + ["<!-- details -->", ""]


def page(options, table):
    lines = [
        BEGIN,
        f"Median over {options.rounds} rounds of each round's median step; the libraries take turns within a round. "
        "*Ratio* is the time of the fastest peer over that of linseed. *Start* is from the start of the process to its "
        "end after one step, without reading data. *Memory* is the peak of the process.",
        "",
        f"{processor()}, {os.cpu_count()} cores. {options.rounds} rounds of {options.seconds:g} s, by `tests/benchmarks/run.sh`.",
        "",
        *peaks(table),
        *brief(table),
        "| job | threads | library | ms per step | examples/s | ratio | start, s | memory, MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (job, threads), (medians, starts, memory, _) in table.items():
        title, batch = JOBS[job]
        step = {name: statistics.median(m) for name, m in medians.items()}
        best = min(time for name, time in step.items() if name != "linseed")
        for name, milliseconds in step.items():
            ratio = f"{best / milliseconds:.1f}" if name == "linseed" else ""
            lines.append(
                f"| {title} | {threads} | {name} | {milliseconds:.4g} | {batch * 1e3 / milliseconds:,.0f} | {ratio} | "
                f"{statistics.median(starts[name]):.2f} | {memory[name]:.0f} |"
            )
    return "\n".join(lines + [END])


def main():
    options = arguments()
    text = page(options, measure(options))
    old = options.page.read_text() if options.page.exists() else "# Performance\n\n"
    if BEGIN in old:
        before, rest = old.split(BEGIN, 1)
        new = before + text + rest.split(END, 1)[1]
    else:
        new = old.rstrip() + "\n\n## Beside other libraries\n\n" + text + "\n"
    options.page.write_text(new)


main()
