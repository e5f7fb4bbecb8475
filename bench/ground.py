"""The ground that benchmarks stand on: programs on loopback that end with the benchmark, and what /proc says of them.

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


class Ground(contextlib.ExitStack):
    """A temporary folder and the programs that run in it; all of them have ended when the `with` is over."""

    def __enter__(self):
        super().__enter__()
        self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory(prefix="mgpu-bench-")))
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return self

    def start(self, *words, core=None):
        """Starts a program, on one core if wanted; its output goes to a file."""
        pinned = ["taskset", "-c", str(core)] if core is not None else []
        log = self.enter_context(open(self.folder / f"{pathlib.Path(str(words[0])).name}.log", "ab"))
        child = subprocess.Popen([*pinned, *map(str, words)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.callback(end, child)
        child.log = pathlib.Path(log.name)
        return child

    def daemon(self, consumers, core=None, **top):
        """`mgpu serve` with a simulated device of 24 GiB. Returns its process, with `.port`."""
        config = self.folder / "mgpu.yaml"
        config.write_text(json.dumps({"listen": "127.0.0.1:0", "store": str(self.folder / "mgpu.db"),
                                      "consumers": consumers, **top}))  # JSON is YAML
        child = self.start(BIN / "mgpu", "serve", "--config", config, "--simulated", "24GiB", core=core)

        def said():
            if child.poll() is not None:
                raise RuntimeError(f"mgpu serve ended:\n{child.log.read_text()}")
            return re.search(r"listening on http://127\.0\.0\.1:(\d+)", child.log.read_text())

        child.port = int(wait_until(said, "the daemon to listen")[1])
        return child

    def nginx(self, conf, core=None):
        """One worker, one file of configuration: `conf` is what stands inside http {}."""
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        file = folder / "nginx.conf"
        file.write_text(
            f"daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log; user root;\n"
            "events { worker_connections 4096; }\n"
            f"http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {folder}/body;\n"
            f"proxy_temp_path {folder}/proxy; {conf} }}\n")
        return self.start("nginx", "-p", folder, "-c", file, core=core)


def end(child):
    """SIGTERM, and SIGKILL for one who does not listen."""
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
            raise RuntimeError(f"waited {seconds} s in vain for {what}")
        time.sleep(0.02)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def call(port, method, path, body=None):
    """One request; its status and its JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, json.dumps(body) if body is not None else None)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text) if text else None


def rss(pid):
    """Resident bytes."""
    return int(re.search(r"VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) * 1024


def cpu_seconds(pid):
    """Processor time of all threads, to a nanosecond where the kernel tells it."""
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(percent / 100 * (len(ordered) - 1)))]


def cores():
    return sorted(os.sched_getaffinity(0))
