"""The raw-socket load of the soak, in short: 100 clients for 10 s while services crash."""
import os
import subprocess
import sys

from daemon_harness import BUILD, TREE


def test_each_has_one_answer_and_nothing_is_left():
    done = subprocess.run([sys.executable, TREE / "tests/soak/soak.py", "--clients", "100", "--seconds", "10", "--seed", "1"],
                          env={**os.environ, "MGPU_BUILD": str(BUILD)}, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
