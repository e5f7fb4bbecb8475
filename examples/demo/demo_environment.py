"""The demo's processes: simulated GPU, daemon, services, jobs. All end with the `with` block."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

TREE = pathlib.Path(__file__).resolve().parents[2]
STOP_SECONDS = 20


class DemoError(Exception):
    """One sentence: why the demo cannot go on."""


class Process:
    """A child process whose last lines of output are kept. It has its own process group, so that Ctrl-C reaches only us."""

    def __init__(self, command, env):
        self.lines = []
        try:
            self.child = subprocess.Popen(command, env=env, cwd=TREE, stdin=subprocess.DEVNULL, text=True, errors="replace",
                                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        except OSError as error:
            raise DemoError(f"cannot start {command[0]}: {error.strerror}") from error
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.child.stdout:
            self.lines.append(line.rstrip())
            del self.lines[:-200]

    def wait_for_line(self, pattern, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for line in list(self.lines):
                if found := re.search(pattern, line):
                    return found
            if self.child.poll() is not None:
                break
            time.sleep(0.02)
        raise DemoError(f"{self.child.args[0]} did not start:\n  " + "\n  ".join(self.lines[-20:]))

    def stop(self):
        """Sends SIGTERM; kills the process group after STOP_SECONDS. True if SIGTERM was enough."""
        if self.child.poll() is None:
            self.child.terminate()
        try:
            self.child.wait(STOP_SECONDS)
            return True
        except subprocess.TimeoutExpired:
            os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()
            return False


class DemoEnvironment:
    def __init__(self, build):
        self.programs = pathlib.Path(build).resolve() / "bin"
        self.processes = []

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mgpu-demo-"))
        self.env = {
            **os.environ,
            "MGPU_SIMGPU": str(self.folder / "gpu"),
            "MGPU_NVML_LIBRARY": str(self.programs / "libmgpu-simgpu.so"),
            "XDG_STATE_HOME": str(self.folder / "state"),
            # The consumers run with this Python, and offline.
            "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
            "HF_HUB_OFFLINE": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return self

    def __exit__(self, *_):
        # A second Ctrl-C must not interrupt the stopping; every step below has a time limit.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for process in reversed(self.processes):
            process.stop()
        # If the daemon died, its services still run: they are the processes that hold simulated memory.
        memory_holders = self.gpu()["processes"] if (self.folder / "gpu").exists() else []
        for process in memory_holders:
            try:
                os.kill(process["pid"], signal.SIGKILL)
            except ProcessLookupError:
                pass
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, *command):
        process = Process([str(part) for part in command], self.env)
        self.processes.append(process)
        return process

    def run(self, *command):
        result = subprocess.run([str(part) for part in command], env=self.env, cwd=TREE, capture_output=True, text=True)
        if result.returncode:
            raise DemoError(f"{command[0]} ended with {result.returncode}: {result.stderr.strip()}")
        return result.stdout

    def create_gpu(self, size):
        self.run(self.programs / "mgpu-simgpu", "create", "--file", self.env["MGPU_SIMGPU"], "--device", size)

    def gpu(self):
        """The state of the simulated GPU: bytes per process, number of refused allocations."""
        return json.loads(self.run(self.programs / "mgpu-simgpu", "show", "--json"))["devices"][0]

    def start_daemon(self, config):
        """Starts the daemon; returns its process and its URL."""
        daemon = self.start(self.programs / "mgpu", "serve", "--config", config)
        url = daemon.wait_for_line(r"listening on (http://[^\s,]+)", 20)[1]
        self.env["MGPU_URL"] = url
        return daemon, url

    def synthesize_question(self, text):
        """The text as speech: a WAV file from espeak-ng."""
        path = self.folder / "voice.wav"
        self.run("espeak-ng", "-v", "en-us", "-s", "140", "-w", path, "--", text)
        return path.read_bytes()
