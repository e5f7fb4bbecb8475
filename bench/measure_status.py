"""How long a person waits for `mgpu status`, from the shell and back."""
import subprocess
import time

from ground import BIN, Ground, percentile
from report import Result

RUNS = 20


def measure():
    with Ground() as ground:
        daemon = ground.daemon({f"consumer{i}": {"footprint": "1GiB"} for i in range(5)})
        took = []
        for _ in range(RUNS):
            before = time.perf_counter()
            subprocess.run([BIN / "mgpu", "status", "--url", f"http://127.0.0.1:{daemon.port}"], check=True,
                           stdout=subprocess.DEVNULL)
            took.append((time.perf_counter() - before) * 1000)
    return Result(["`mgpu status`", "measured", "goal"],
                  [["median", f"{percentile(took, 50):.1f} ms", "under 20 ms"], ["slowest", f"{max(took):.1f} ms", ""]],
                  f"{RUNS} runs, each with the start of its process.")
