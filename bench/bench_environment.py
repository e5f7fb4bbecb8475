"""The environment of a benchmark: programs on loopback that end with it, and their figures from /proc.

Only the standard library, so that `./dev bench` needs no virtual environment.
"""
import contextlib
import http.client
import json
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import tempfile
import time

TREE = pathlib.Path(__file__).resolve().parents[1]
BIN = TREE / "build/release/bin"
MiB = 1 << 20


class BenchEnvironment(contextlib.ExitStack):
    """A temporary folder and the programs that run in it; all end with the `with` block."""

    def __enter__(self):
        super().__enter__()
        self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory(prefix="mgpu-bench-")))
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return self

    def start(self, *arguments, core=None):
        """Starts a program, pinned to `core` if given; its output goes to a file."""
        pinned = ["taskset", "-c", str(core)] if core is not None else []
        log = self.enter_context(open(self.folder / f"{pathlib.Path(str(arguments[0])).name}.log", "ab"))
        child = subprocess.Popen([*pinned, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.callback(stop_process, child)
        child.log = pathlib.Path(log.name)
        return child

    def daemon(self, consumers, core=None, **settings):
        """Starts `mgpu serve` with a simulated device of 24 GiB; returns its process, with `.port`."""
        config = self.folder / "mgpu.yaml"
        config.write_text(json.dumps({"listen": "127.0.0.1:0", "store": str(self.folder / "mgpu.db"),
                                      "consumers": consumers, **settings}))  # JSON is YAML
        child = self.start(BIN / "mgpu", "serve", "--config", config, "--simulated", "24GiB", core=core)

        def listening_line():
            if child.poll() is not None:
                raise RuntimeError(f"mgpu serve ended:\n{child.log.read_text()}")
            return re.search(r"listening on http://127\.0\.0\.1:(\d+)", child.log.read_text())

        child.port = int(wait_until(listening_line, "the daemon to listen")[1])
        return child

    def nginx(self, conf, core=None):
        """Starts nginx with one worker; `conf` is the content of its http {} block."""
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        file = folder / "nginx.conf"
        file.write_text(
            f"daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log; user root;\n"
            "events { worker_connections 4096; }\n"
            f"http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {folder}/body;\n"
            f"proxy_temp_path {folder}/proxy; {conf} }}\n")
        return self.start("nginx", "-p", folder, "-c", file, core=core)


def stop_process(child):
    """Sends SIGTERM, and SIGKILL if the process has not ended after 10 s."""
    if child.poll() is not None:
        return
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(10)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def wait_until(condition, what, seconds=15):
    until = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        if time.monotonic() > until:
            raise RuntimeError(f"waited {seconds} s for {what}")
        time.sleep(0.02)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def call_api(port, method, path, body=None):
    """Sends one request; returns the status and the JSON of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, json.dumps(body) if body is not None else None)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text) if text else None


def resident_bytes(pid):
    """The process' resident memory."""
    return int(re.search(r"VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) * 1024


def cpu_seconds(pid):
    """The CPU time of all threads, from the scheduler's nanoseconds."""
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(percent / 100 * (len(ordered) - 1)))]


def cores():
    return sorted(os.sched_getaffinity(0))
