"""The time that `mgpu status` takes, from the start of its process to its end."""
import subprocess
import time

from bench_environment import BIN, BenchEnvironment, percentile
from report import Result

RUNS = 20


def measure():
    with BenchEnvironment() as environment:
        daemon = environment.daemon({f"consumer{i}": {"footprint": "1GiB"} for i in range(5)})
        times_ms = []
        for _ in range(RUNS):
            before = time.perf_counter()
            subprocess.run([BIN / "mgpu", "status", "--url", f"http://127.0.0.1:{daemon.port}"], check=True,
                           stdout=subprocess.DEVNULL)
            times_ms.append((time.perf_counter() - before) * 1000)
    return Result(["`mgpu status`", "measured", "goal"],
                  [["median", f"{percentile(times_ms, 50):.1f} ms", "under 20 ms"], ["slowest", f"{max(times_ms):.1f} ms", ""]],
                  f"{RUNS} runs, each includes the start of its process.")
