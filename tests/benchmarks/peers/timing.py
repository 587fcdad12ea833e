"""What jobs.cpp does around a step: warm up, run for some seconds, print the milliseconds of every step as JSON."""
import json
import time


def run(step, seconds):
    step()
    for _ in range(2 if seconds > 0 else 0):
        step()
    milliseconds = []
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        before = time.perf_counter()
        step()
        milliseconds.append((time.perf_counter() - before) * 1e3)
    print(json.dumps(milliseconds))
