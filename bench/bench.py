"""bench.py [name...]: runs the benchmarks, prints their tables and writes them into docs/performance.md."""
import importlib
import os
import sys

import report

MODULES = {"core": "measure_core", "gateway": "measure_gateway", "grant": "measure_grant", "waiting": "measure_waiting",
           "idle": "measure_idle", "status": "measure_status", "policy": "measure_policy",
           "policy-real": "measure_policy_in_daemon"}


def main(requested):
    unknown = [name for name in requested if name not in [*MODULES, "all"]]
    if unknown:
        print(f"bench: unknown benchmark \"{unknown[0]}\"; known: {', '.join(MODULES)}, all", file=sys.stderr)
        return 2
    for name in MODULES if not requested or "all" in requested else requested:
        print(f"\n== bench {name}", flush=True)
        load_average = os.getloadavg()[0]
        text = report.result_block(importlib.import_module(MODULES[name]).measure(), load_average)
        print(text, flush=True)
        report.write_block(name, text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
