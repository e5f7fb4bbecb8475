"""A test's environment: a simulated GPU, the real daemon, fake services, and the client libraries that people use.

All files are in one temporary folder and the kernel chooses every port. stop_and_check() ends all programs that the test
started and returns what is wrong: a daemon that does not stop cleanly, a refused allocation, a process that still runs.
"""
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import Future

import httpx
import ollama
import ollama_service
import openai

TREE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MGPU_BUILD", TREE / "build/release")).resolve()
BIN = BUILD / "bin"
MiB = 1 << 20
GiB = 1 << 30


def wait_until(condition, what="the condition", seconds=15):
    """Polls `condition` until its value is true, and returns the value; fails with `what` after `seconds`."""
    until = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        if time.monotonic() > until:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(0.01)


def run_in_background(work, *args, **kwargs):
    """Runs work(...) in a thread; .result(seconds) returns its value or raises its exception."""
    future = Future()

    def run():
        try:
            future.set_result(work(*args, **kwargs))
        except BaseException as error:  # raised again by result()
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def is_running(pid):
    """Whether the process runs; a zombie counts as ended."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class CapturedProcess:
    """A process whose output is kept: stdout and stderr together, in `output`."""

    def __init__(self, command, env, **options):
        self.output = ""
        self.child = subprocess.Popen([str(word) for word in command], env=env, stdin=subprocess.DEVNULL, text=True,
                                      errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
        self.pid = self.child.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.child.stdout:
            self.output += line

    def wait_for_output(self, pattern, seconds=20):
        """The match of `pattern` in the output; fails if the process ends without printing it."""
        def is_found_or_ended():
            return re.search(pattern, self.output) or (self.child.poll() is not None and not self._reader.is_alive())

        wait_until(is_found_or_ended, f"{pattern!r} in the output:\n{self.output}", seconds)
        found = re.search(pattern, self.output)
        assert found, f"{self.child.args[0]} ended with {self.child.returncode} without printing {pattern!r}:\n{self.output}"
        return found

    def signal(self, number):
        self.child.send_signal(number)

    def kill(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()

    def exit_code(self, seconds=20):
        code = self.child.wait(seconds)
        self._reader.join(5)
        return code


class RawConnection:
    """A request on a connection of its own, which the test may close at any moment. `answer`, `status` and json() wait for
    the answer."""

    def __init__(self, url, method, path, body=b"", headers=()):
        address = httpx.URL(url)
        self.socket = socket.create_connection((address.host, address.port), timeout=60)
        self.send_request(method, path, body, headers)

    def send_request(self, method, path, body=b"", headers=()):
        """Sends the next request on the same connection."""
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: mgpu", f"Content-Length: {len(body)}", *headers]
        self._answer = None
        self.socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def close(self):
        self.socket.close()

    @property
    def answer(self):
        if not self._answer:
            self._answer = http.client.HTTPResponse(self.socket)
            self._answer.begin()
            self._answer.text = self._answer.read().decode()
        return self._answer

    @property
    def status(self):
        return self.answer.status

    def json(self):
        return json.loads(self.answer.text)


class DaemonHarness:
    def __init__(self, folder):
        self.folder = folder
        self.service_journal_file = folder / "journal"
        self.ollama_journal_file = folder / "ollama-journal"
        self.config_file = folder / "mgpu.yaml"
        self.state_file = folder / "state/mgpu/mgpu.db"
        self.processes_started = []
        self.daemon = None
        self.url = None
        self.refusals_allowed = False  # whether the device may refuse an allocation in this test
        self.env = {
            **os.environ,
            "MGPU_SIMGPU": str(folder / "gpu"),
            "MGPU_NVML_LIBRARY": str(BIN / "libmgpu-simgpu.so"),
            "MGPU_CUDA_LIBRARY": "/nonexistent/libcuda.so.1",  # a real driver knows nothing of simulated memory
            "MGPU_TEST_HARNESS": str(folder),  # inherited, so that process_pids() finds all processes
            "XDG_STATE_HOME": str(folder / "state"),
            "OLLAMA_MODELS": str(folder / "ollama"),  # not those of the machine's own Ollama
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.env.pop("MGPU_URL", None)
        self.env.pop("STATE_DIRECTORY", None)

    # --- the simulated GPU ---

    def make_gpu(self, *sizes):
        self.simgpu("create", *(word for size in sizes for word in ("--device", size)))

    def simgpu(self, *arguments):
        return subprocess.run([BIN / "mgpu-simgpu", *arguments], env=self.env, check=True, capture_output=True, text=True).stdout

    def gpu_states(self):
        """The state of each simulated device: bytes per process, number of refused allocations."""
        return json.loads(self.simgpu("show", "--json"))["devices"]

    def refused_allocations(self):
        return sum(device["oom_count"] for device in self.gpu_states())

    # --- consumers ---

    def fake_consumer(self, name, footprint="6GiB", *, holds=None, working="512MiB", load_ms=0, run_ms=0, fault=None, flags=(),
                      **config):
        """A consumer's configuration with mgpu-fake-service as its server, which allocates `holds` (or its footprint)."""
        command = [BIN / "mgpu-fake-service", "--name", name, "--port", "${PORT}", "--bytes", parse_size(holds or footprint),
                   "--working", parse_size(working), "--load-ms", load_ms, "--run-ms", run_ms,
                   "--journal", self.service_journal_file, *flags]
        if fault:
            command += ["--fault", fault]
        return {"footprint": footprint, "working": working, "service": "generic", "load_limit": "10s", "stop_limit": "5s",
                "runner": {"process": {"command": [str(word) for word in command]}}, **config}

    def fake_ollama_consumer(self, ai_models, **config):
        """A consumer's configuration with mgpu-fake-service as Ollama: several AI models, each a resident of its own."""
        sizes = [f"{name}={parse_size(size)}" for name, size in ai_models.items()]
        entry = self.fake_consumer("ollama", "0", working="0", flags=["--ollama", *sizes], service="ollama", ai_models=ai_models,
                                   **config)
        del entry["footprint"], entry["working"]
        return entry

    def ollama_consumer(self, stored, **config):
        """A consumer's configuration with ollama_service.py, which has the AI models `stored` (name: size)."""
        ollama_service.MODELS = self.folder / "ollama"
        for name, size in stored.items():
            ollama_service.store_ai_model(name, parse_size(size))
        command = [sys.executable, TREE / "tests/e2e/ollama_service.py", "--port", "${PORT}", "--journal", self.ollama_journal_file]
        return {"kind": "llm", "service": "ollama", "footprint": "4GiB", "load_limit": "10s", "stop_limit": "5s",
                "runner": {"process": {"command": [str(word) for word in command]}}, **config}

    def ollama_journal(self, *whats):
        """What ollama_service.py noted: its loads, unloads, requests, answers and uploads, or those named."""
        lines = self.ollama_journal_file.read_text().splitlines() if self.ollama_journal_file.exists() else []
        return [line for line in map(json.loads, lines) if not whats or line[0] in whats]

    # --- the daemon ---

    def write_config(self, consumers, **settings):
        # JSON is YAML. The sampling is frequent, because the tests are short.
        config = {"listen": "127.0.0.1:0", "gpu": {"sample_busy": "20ms", "sample_idle": "100ms"}, "consumers": consumers,
                  **settings, "limits": {"drain_limit": "1s", **settings.get("limits", {})}}
        self.config_file.write_text(json.dumps(config, indent=1))

    def start_with(self, consumers, gpu="12GiB", **settings):
        """Writes mgpu.yaml and starts the daemon; `gpu` is one size or a list of them."""
        self.make_gpu(*([gpu] if isinstance(gpu, str) else gpu))
        self.write_config(consumers, **settings)
        self.start_daemon()
        return self

    def start_daemon(self, simulated=None):
        """Starts `mgpu serve`, on the simulated GPU or with --simulated, and waits until it listens."""
        options = ["--simulated", simulated] if simulated else []
        self.daemon = self.start_program("serve", "--config", self.config_file, *options)
        self.connect(self.daemon.wait_for_output(r"listening on (http://[^\s,]+)")[1])

    def connect(self, url):
        self.url = url
        self.env["MGPU_URL"] = self.url
        self.http_client = httpx.Client(base_url=self.url, timeout=60)

    def start_program(self, *arguments, program="mgpu", **options):
        """Starts `mgpu ARGUMENTS...`, or another program, and returns at once."""
        path = BIN / program if isinstance(program, str) else program
        process = CapturedProcess([path, *arguments], self.env, **options)
        self.processes_started.append(process)
        return process

    def run_mgpu(self, *arguments, seconds=30):
        """Runs `mgpu ARGUMENTS...` to its end."""
        return subprocess.run([BIN / "mgpu", *map(str, arguments)], env=self.env, capture_output=True, text=True, timeout=seconds,
                              stdin=subprocess.DEVNULL)

    def stop_daemon(self, seconds=20):
        """Sends SIGTERM; returns the daemon's exit code."""
        self.daemon.signal(signal.SIGTERM)
        return self.daemon.exit_code(seconds)

    # --- clients ---

    def openai(self, **options):
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="none", **{"max_retries": 0, "timeout": 60, **options})

    def ollama(self):
        return ollama.Client(host=self.url, timeout=60)

    def chat(self, model, **options):
        """Sends one chat with the openai client; returns the text of the answer."""
        with self.openai() as client:
            answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hello"}], **options)
        return answer.choices[0].message.content

    def send_raw_chat(self, model, **options):
        return self.send_raw("POST", "/v1/chat/completions", {"model": model, "messages": [], **options})

    def send_raw(self, method, path, body=b"", headers=()):
        return RawConnection(self.url, method, path, body, headers)

    def get(self, path):
        answer = self.http_client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path, body=None, **options):
        return self.http_client.post(path, json=body, **options)

    def list_services_now(self):
        """Returns when the daemon has asked its services what they list: it does so before it refuses an unknown name."""
        assert self.post("/api/show", {"model": "unknown"}).status_code == 404

    def status(self):
        return self.get("/v1/status")

    def consumer(self, name):
        return self.get(f"/v1/consumers/{name}")

    def state(self, name):
        return self.consumer(name)["state"]

    def tickets(self, **fields):
        """The tickets of the line with these fields: tickets(consumer="chat", stage="waiting")."""
        tickets = self.get("/v1/line")["line"]
        return [ticket for ticket in tickets if all(ticket[key] == value for key, value in fields.items())]

    def wait_for_ticket(self, count=1, **fields):
        """Waits for `count` tickets with these fields; returns the first."""
        return wait_until(lambda: len(found := self.tickets(**fields)) >= count and found, f"{count} tickets with {fields}")[0]

    def wait_for_state(self, name, state):
        wait_until(lambda: self.state(name) == state, f"{name} to be {state}")

    def wait_until_quiet(self):
        """Waits until no ticket waits or runs and every turn is free."""
        wait_until(lambda: not self.tickets() and not any(d["turns"] for d in self.status()["devices"]), "an empty line")

    def events(self, *names):
        """(name, data) of the kept events so far: those with one of the names, or all."""
        events = []
        for block in self.http_client.get("/v1/events", params={"follow": "false"}).text.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":"))
            if "event" in fields and (not names or fields["event"] in names):
                events.append((fields["event"], json.loads(fields["data"]) | {"id": int(fields.get("id", 0))}))
        return events

    # --- the journal of the fake services ---

    def service_journal(self):
        """What the fake services wrote while they worked: (what, consumer, nanoseconds, user), ordered by time."""
        if not self.service_journal_file.exists():
            return []
        rows = [line.split(" ") for line in self.service_journal_file.read_text().splitlines()]
        return sorted(((what, name, int(at), user) for what, name, at, user in rows), key=lambda row: row[2])

    def wait_for_service_journal(self, what, name, count=1):
        wait_until(lambda: sum(row[:2] == (what, name) for row in self.service_journal()) >= count,
                   f"{count} rows {what!r} of {name} in the service journal")

    # --- the end ---

    def process_pids(self):
        """The pids of all processes that this test started, directly or indirectly."""
        environment_entry = f"MGPU_TEST_HARNESS={self.folder}\0".encode()
        pids = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and environment_entry in (entry / "environ").read_bytes() and is_running(int(entry.name)):
                    pids.append(int(entry.name))
            except OSError:
                pass
        return pids

    def stop_and_check(self):
        """Ends everything that the test started; returns what is wrong, as sentences."""
        complaints = []
        if self.daemon and self.daemon.child.poll() is None:
            self.http_client.close()
            try:
                code = self.stop_daemon()
                if code != 0:
                    complaints.append(f"the daemon's exit code is {code}")
            except subprocess.TimeoutExpired:
                complaints.append("the daemon does not stop")
        if "assert" in (self.daemon.output if self.daemon else ""):
            complaints.append("an assertion failed")
        for program in self.processes_started:
            program.kill()
        try:
            wait_until(lambda: not self.process_pids(), "all processes to end", 5)
        except AssertionError:
            for pid in self.process_pids():
                name = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                complaints.append(f"process still runs: {pid} {name}")
                os.kill(pid, signal.SIGKILL)
        if not self.refusals_allowed and (self.folder / "gpu").exists() and self.refused_allocations():
            complaints.append(f"the device refused {self.refused_allocations()} allocations")
        return complaints


def parse_size(size):
    """"6GiB" -> 6442450944"""
    number, unit = re.fullmatch(r"([\d.]+)(GiB|MiB|)", size).groups()
    return int(float(number) * {"GiB": GiB, "MiB": MiB, "": 1}[unit])


def overlapping_turns(service_journal):
    """Pairs of consumers that worked at the same time."""
    running, pairs = {}, set()
    for what, name, _, _ in service_journal:
        running[name] = running.get(name, 0) + (1 if what == "start" else -1)
        others = [other for other, count in running.items() if count > 0 and other != name]
        if what == "start" and others:
            pairs.add((name, *others))
    return pairs
