"""One house for one story: a simulated GPU, the real daemon, fake services, and the clients that people use.

Everything lives in one temporary folder, every port is chosen by the kernel, and leave() ends what was started and
says what is wrong: a daemon that does not stop cleanly, a refused allocation, a process that was left behind.
"""
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import Future

import httpx
import ollama
import openai

TREE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MGPU_BUILD", TREE / "build/release")).resolve()
BIN = BUILD / "bin"
MiB = 1 << 20
GiB = 1 << 30


def wait_until(condition, what="the condition", seconds=15):
    """What `condition` returns once it is true; fails with `what` after `seconds`."""
    until = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        if time.monotonic() > until:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        time.sleep(0.01)


def background(work, *args, **named):
    """Runs it beside the story; .result(seconds) gives its value or raises its exception."""
    future = Future()

    def run():
        try:
            future.set_result(work(*args, **named))
        except BaseException as error:  # it belongs to whoever asks for the result
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def exists(pid):
    """Whether the process runs; a zombie does not."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Started:
    """A program whose output, both streams together, is kept."""

    def __init__(self, command, env, **more):
        self.text = ""
        self.child = subprocess.Popen([str(word) for word in command], env=env, stdin=subprocess.DEVNULL, text=True,
                                      errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
        self.pid = self.child.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.child.stdout:
            self.text += line

    def wait_for(self, pattern, seconds=20):
        def found_or_over():
            return re.search(pattern, self.text) or (self.child.poll() is not None and not self._reader.is_alive())

        wait_until(found_or_over, f"{pattern!r} in the output:\n{self.text}", seconds)
        found = re.search(pattern, self.text)
        assert found, f"{self.child.args[0]} ended with {self.child.returncode} and never said {pattern!r}:\n{self.text}"
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


class Raw:
    """A connection of its own, so that the story decides when the client hangs up. The answer is waited for where
    it is looked at."""

    def __init__(self, url, method, path, body=b"", headers=()):
        address = httpx.URL(url)
        self.socket = socket.create_connection((address.host, address.port), timeout=60)
        self.ask_again(method, path, body, headers)

    def ask_again(self, method, path, body=b"", headers=()):
        """The next request of the same connection."""
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: mgpu", f"Content-Length: {len(body)}", *headers]
        self._answer = None
        self.socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def hang_up(self):
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


class House:
    def __init__(self, folder):
        self.folder = folder
        self.journal_file = folder / "journal"
        self.config_file = folder / "mgpu.yaml"
        self.state_file = folder / "state/mgpu/mgpu.db"
        self.programs = []
        self.daemon = None
        self.url = None
        self.refusals_allowed = False  # whether this story may see an allocation refused
        self.env = {
            **os.environ,
            "MGPU_SIMGPU": str(folder / "gpu"),
            "MGPU_NVML_LIBRARY": str(BIN / "libmgpu-simgpu.so"),
            "MGPU_HOUSE": str(folder),  # by which our processes are known
            "XDG_STATE_HOME": str(folder / "state"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.env.pop("MGPU_URL", None)
        self.env.pop("STATE_DIRECTORY", None)

    # --- the simulated GPU ---

    def make_gpu(self, *sizes):
        self.simgpu("create", *(word for size in sizes for word in ("--device", size)))

    def simgpu(self, *words):
        return subprocess.run([BIN / "mgpu-simgpu", *words], env=self.env, check=True, capture_output=True, text=True).stdout

    def gpus(self):
        """The devices' own account: who holds what, and how often they refused."""
        return json.loads(self.simgpu("show", "--json"))["devices"]

    def refused_allocations(self):
        return sum(device["oom_count"] for device in self.gpus())

    # --- consumers ---

    def fake(self, name, footprint="6GiB", *, holds=None, working="512MiB", load_ms=0, run_ms=0, fault=None, flags=(),
             **config):
        """The entry of a consumer that mgpu-fake-service plays: it really holds its footprint (or `holds`)."""
        command = [BIN / "mgpu-fake-service", "--name", name, "--port", "${PORT}", "--bytes", in_bytes(holds or footprint),
                   "--working", in_bytes(working), "--load-ms", load_ms, "--run-ms", run_ms,
                   "--journal", self.journal_file, *flags]
        if fault:
            command += ["--fault", fault]
        return {"footprint": footprint, "working": working, "service": "generic", "load_limit": "10s", "stop_limit": "5s",
                "runner": {"process": {"command": [str(word) for word in command]}}, **config}

    def fake_ollama(self, ai_models, **config):
        """As Ollama: several AI models, each a resident of its own."""
        sizes = [f"{name}={in_bytes(size)}" for name, size in ai_models.items()]
        entry = self.fake("ollama", "0", working="0", flags=["--ollama", *sizes], service="ollama", ai_models=ai_models, **config)
        del entry["footprint"], entry["working"]
        return entry

    # --- the daemon ---

    def write_config(self, consumers, **top):
        # JSON is YAML. The reading is sampled often, because the stories are short.
        config = {"listen": "127.0.0.1:0", "gpu": {"sample_busy": "20ms", "sample_idle": "100ms"}, "consumers": consumers,
                  **top, "limits": {"drain_limit": "1s", **top.get("limits", {})}}
        self.config_file.write_text(json.dumps(config, indent=1))

    def open(self, consumers, gpu="12GiB", **top):
        """Writes mgpu.yaml and starts the daemon; `gpu` is one size or a list of them."""
        self.make_gpu(*([gpu] if isinstance(gpu, str) else gpu))
        self.write_config(consumers, **top)
        self.start_daemon()
        return self

    def start_daemon(self, simulated=None):
        self.daemon = self.start("serve", "--config", self.config_file, *(["--simulated", simulated] if simulated else []))
        self.connect(self.daemon.wait_for(r"listening on (http://[^\s,]+)")[1])

    def connect(self, url):
        self.url = url
        self.env["MGPU_URL"] = self.url
        self.http = httpx.Client(base_url=self.url, timeout=60)

    def start(self, *words, program="mgpu", **more):
        """Starts `mgpu WORDS...`, or another program, beside the story."""
        path = BIN / program if isinstance(program, str) else program
        started = Started([path, *words], self.env, **more)
        self.programs.append(started)
        return started

    def mgpu(self, *words, seconds=30):
        """Runs a command of `mgpu` to its end."""
        return subprocess.run([BIN / "mgpu", *map(str, words)], env=self.env, capture_output=True, text=True, timeout=seconds,
                              stdin=subprocess.DEVNULL)

    def stop_daemon(self, seconds=20):
        """SIGTERM; the daemon's exit code."""
        self.daemon.signal(signal.SIGTERM)
        return self.daemon.exit_code(seconds)

    # --- clients ---

    def openai(self, **more):
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="none", **{"max_retries": 0, "timeout": 60, **more})

    def ollama(self):
        return ollama.Client(host=self.url, timeout=60)

    def ask(self, model, **more):
        """One chat through the real openai client; the text of its answer."""
        with self.openai() as client:
            answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hello"}], **more)
        return answer.choices[0].message.content

    def raw_chat(self, model, **more):
        return self.raw("POST", "/v1/chat/completions", {"model": model, "messages": [], **more})

    def raw(self, method, path, body=b"", headers=()):
        return Raw(self.url, method, path, body, headers)

    def get(self, path):
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path, body=None, **more):
        return self.http.post(path, json=body, **more)

    def status(self):
        return self.get("/v1/status")

    def consumer(self, name):
        return self.get(f"/v1/consumers/{name}")

    def state(self, name):
        return self.consumer(name)["state"]

    def line(self, **wanted):
        """The tickets whose fields are as wanted: line(consumer="chat", stage="waiting")."""
        tickets = self.get("/v1/line")["line"]
        return [ticket for ticket in tickets if all(ticket[key] == value for key, value in wanted.items())]

    def wait_for_ticket(self, count=1, **wanted):
        """The first of `count` tickets that are as wanted."""
        return wait_until(lambda: len(found := self.line(**wanted)) >= count and found, f"{count} of {wanted} in the line")[0]

    def wait_for_state(self, name, state):
        wait_until(lambda: self.state(name) == state, f"{name} to be {state}")

    def wait_until_quiet(self):
        """Until nobody waits and nobody runs: nothing may be left of what the story began."""
        wait_until(lambda: not self.line() and not any(d["turns"] for d in self.status()["devices"]), "an empty line")

    def events(self, *names):
        """What happened so far: (name, data) of the kept events with one of the names, or all of them."""
        told = []
        for block in self.http.get("/v1/events", params={"follow": "false"}).text.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":"))
            if "event" in fields and (not names or fields["event"] in names):
                told.append((fields["event"], json.loads(fields["data"]) | {"id": int(fields.get("id", 0))}))
        return told

    # --- what the services saw ---

    def journal(self):
        """What the fakes wrote while they worked: (what, consumer, nanoseconds, user), in the order of time."""
        if not self.journal_file.exists():
            return []
        rows = [line.split(" ") for line in self.journal_file.read_text().splitlines()]
        return sorted(((what, name, int(at), user) for what, name, at, user in rows), key=lambda row: row[2])

    def wait_for_journal(self, what, name, count=1):
        wait_until(lambda: sum(row[:2] == (what, name) for row in self.journal()) >= count, f"{what} of {name}")

    # --- the end ---

    def processes(self):
        """Pids of all processes that were started in this house, by us or by whom we started."""
        mark = f"MGPU_HOUSE={self.folder}\0".encode()
        pids = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes() and exists(int(entry.name)):
                    pids.append(int(entry.name))
            except OSError:
                pass
        return pids

    def leave(self):
        complaints = []
        if self.daemon and self.daemon.child.poll() is None:
            self.http.close()
            try:
                code = self.stop_daemon()
                if code != 0:
                    complaints.append(f"the daemon's exit code is {code}")
            except subprocess.TimeoutExpired:
                complaints.append("the daemon does not stop")
        if "assert" in (self.daemon.text if self.daemon else ""):
            complaints.append("an assertion failed")
        for program in self.programs:
            program.kill()
        try:
            wait_until(lambda: not self.processes(), "", 5)
        except AssertionError:
            for pid in self.processes():
                name = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                complaints.append(f"left behind: {pid} {name}")
                os.kill(pid, signal.SIGKILL)
        if not self.refusals_allowed and (self.folder / "gpu").exists() and self.refused_allocations():
            complaints.append(f"the device refused {self.refused_allocations()} allocations")
        return complaints


def in_bytes(size):
    """"6GiB" -> 6442450944"""
    number, unit = re.fullmatch(r"([\d.]+)(GiB|MiB|)", size).groups()
    return int(float(number) * {"GiB": GiB, "MiB": MiB, "": 1}[unit])


def turns_that_overlap(journal):
    """Pairs of consumers that worked at the same time."""
    running, pairs = {}, set()
    for what, name, _, _ in journal:
        running[name] = running.get(name, 0) + (1 if what == "start" else -1)
        others = [other for other, count in running.items() if count > 0 and other != name]
        if what == "start" and others:
            pairs.add((name, *others))
    return pairs
