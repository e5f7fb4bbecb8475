"""Events per second through step(); core.cc runs them."""
import json
import subprocess

from bench_environment import BIN
from report import Result


def measure():
    output = subprocess.run([BIN / "mgpu-bench-core"], check=True, capture_output=True, text=True).stdout
    rows = []
    for line in map(json.loads, output.splitlines()):
        rows.append([f"`{line['policy']}`", line["consumers"], f"{line['waiting']:,}", f"{line['step'] / 1e6:.2f} million",
                     f"{line['step_and_next_wakeup'] / 1e6:.2f} million",
                     f"{line['step_p50_us']:.1f} / {line['step_p99_us']:.1f} µs"])
    return Result(["policy", "consumers", "tickets waiting", "events a second, step", "step and next_wakeup", "one step, p50 / p99"], rows,
                  "One core; best of three rounds of a million events.")
