"""The soak for 45 s: random faults and one killed daemon; afterwards every request has its answer and nothing leaks."""
import os
import subprocess
import sys

from daemon_harness import BUILD, TREE

SECONDS = "45"
SEED = os.environ.get("MGPU_SOAK_SEED", "1")


def test_everybody_is_answered_and_nothing_leaks():
    done = subprocess.run([sys.executable, TREE / "tests/soak/soak.py", "--seconds", SECONDS, "--seed", SEED],
                          env={**os.environ, "MGPU_BUILD": str(BUILD)}, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
