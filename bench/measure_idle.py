"""What the daemon costs a machine on which nobody asks it for anything."""
import time

from ground import MiB, Ground, cpu_seconds, rss
from report import Result

SECONDS = 10


def measure():
    with Ground() as ground:
        daemon = ground.daemon({f"consumer{i}": {"footprint": "1GiB"} for i in range(5)})
        time.sleep(3)  # start-up is not idleness
        before = cpu_seconds(daemon.pid)
        time.sleep(SECONDS)
        cpu, memory = cpu_seconds(daemon.pid) - before, rss(daemon.pid)
    return Result(["", "measured", "goal"],
                  [["resident memory", f"{memory / MiB:.1f} MiB", "under 20 MB"],
                   [f"processor time in {SECONDS} s", f"{cpu * 1000:.1f} ms ({cpu / SECONDS:.3%} of a core)", "not measurable"]])
