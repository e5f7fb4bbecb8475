"""20,000 requests with ever new names, users and paths: memory, descriptors, store size and CPU time per request stay flat.
The full run is `./dev million`."""
import os
import subprocess
import sys

from daemon_harness import BUILD, TREE

REQUESTS = os.environ.get("MGPU_MILLION", "20000")


def test_what_a_request_costs_does_not_depend_on_how_many_came_before():
    done = subprocess.run([sys.executable, TREE / "tests/soak/bounded_growth.py", "--requests", REQUESTS],
                          env={**os.environ, "MGPU_BUILD": str(BUILD)}, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
