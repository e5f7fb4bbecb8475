"""The resources of an idle daemon."""
import time

from bench_environment import BenchEnvironment, MiB, cpu_seconds, resident_bytes
from report import Result

SECONDS = 10


def measure():
    with BenchEnvironment() as environment:
        daemon = environment.daemon({f"consumer{i}": {"footprint": "1GiB"} for i in range(5)})
        time.sleep(3)  # after the start-up
        before = cpu_seconds(daemon.pid)
        time.sleep(SECONDS)
        cpu, memory = cpu_seconds(daemon.pid) - before, resident_bytes(daemon.pid)
    return Result(["", "measured", "goal"],
                  [["resident memory", f"{memory / MiB:.1f} MiB", "under 20 MB"],
                   [f"CPU time in {SECONDS} s", f"{cpu * 1000:.1f} ms ({cpu / SECONDS:.3%} of a core)", "not measurable"]])
