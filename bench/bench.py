"""bench.py [name...]: runs the benchmarks, prints their tables and writes them into docs/performance.md."""
import importlib
import os
import sys

import report

NAMES = ["core", "gateway", "grant", "waiting", "idle", "status", "policy", "policy-real"]


def main(wanted):
    unknown = [name for name in wanted if name not in NAMES + ["all"]]
    if unknown:
        print(f"bench: there is no benchmark \"{unknown[0]}\"; there are {', '.join(NAMES)}, all", file=sys.stderr)
        return 2
    for name in NAMES if not wanted or "all" in wanted else wanted:
        print(f"\n== bench {name}", flush=True)
        load = os.getloadavg()[0]
        text = report.block(importlib.import_module(f"measure_{name.replace('-', '_')}").measure(), load)
        print(text, flush=True)
        report.write(name, text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
