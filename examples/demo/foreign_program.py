"""A foreign program, as a game: it belongs to no consumer and allocates device memory without a lease.

It grows by no more than the reserve at once, and again when the daemon has made room. Against a program that allocates
gigabytes at the very moment a service loads, no daemon can act in time: one of the two allocations is refused then. This
demo shows only what can be promised.
"""
import argparse
import json
import os
import signal
import time
import urllib.request

import simulated_gpu

LIMIT_SECONDS = 60


def device_memory():
    with urllib.request.urlopen(f"{os.environ['MGPU_URL']}/v1/status", timeout=10) as answer:
        return json.load(answer)["devices"][0]["memory"]


def grow_by(amount, held):
    """Allocates `amount` once the reserve is free again and the daemon has measured all that is `held`; returns the sum."""
    until = time.monotonic() + LIMIT_SECONDS
    while (memory := device_memory())["headroom_bytes"] < 0 or memory["foreign_bytes"] < held:
        if time.monotonic() > until:
            raise TimeoutError(f"no room was made within {LIMIT_SECONDS} s: {memory}")
        time.sleep(0.02)
    simulated_gpu.allocate(amount)
    return held + amount


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bytes", type=simulated_gpu.parse_bytes, required=True)
    options = parser.parse_args()
    step = device_memory()["reserve_bytes"]
    held = 0
    while held < options.bytes:
        held = grow_by(min(step, options.bytes - held), held)
    signal.pause()


if __name__ == "__main__":
    main()
