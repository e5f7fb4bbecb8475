"""A game: a program that belongs to nobody, asks nobody, and takes device memory in the middle of everything.

It grows by no more than the reserve at once, and again when the daemon has made room. Of a game that takes gigabytes in
the very moment in which a service loads, no daemon can know in time: one of the two is refused then, and this demo is
about what can be promised.
"""
import argparse
import json
import os
import signal
import time
import urllib.request

import gpu

LIMIT_SECONDS = 60


def memory():
    with urllib.request.urlopen(f"{os.environ['MGPU_URL']}/v1/status", timeout=10) as answer:
        return json.load(answer)["devices"][0]["memory"]


def grow(amount, held):
    """Takes `amount` as soon as the reserve is whole again and all that is `held` was seen."""
    until = time.monotonic() + LIMIT_SECONDS
    while (seen := memory())["headroom_bytes"] < 0 or seen["foreign_bytes"] < held:
        if time.monotonic() > until:
            raise TimeoutError(f"no room was made in {LIMIT_SECONDS} s: {seen}")
        time.sleep(0.02)
    gpu.take(amount)
    return held + amount


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bytes", type=gpu.parse_bytes, required=True)
    options = parser.parse_args()
    step = memory()["reserve_bytes"]
    held = 0
    while held < options.bytes:
        held = grow(min(step, options.bytes - held), held)
    signal.pause()  # it is played


if __name__ == "__main__":
    main()
