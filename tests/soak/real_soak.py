"""The soak with real applications: `./dev soak --real`, after `./dev real` has installed them.

Ollama with three AI models, llama.cpp's server and faster-whisper share a simulated GPU that has room for two of them.
Clients ask them all the time. Meanwhile AI models are unloaded, stopped, copied and removed without the daemon's knowledge,
processes are killed, and clients leave in the middle. No allocation may be refused, each request is answered unless its own
process was killed, and at the end nothing is left: no memory, no process, no AI model that is said to be loaded.
"""
import collections
import os
import pathlib
import random
import signal
import sys
import tempfile
import threading
import time

import httpx

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "tests/real"))

import real_parts
from real_harness import RealHarness
from daemon_harness import wait_until

OLLAMA_MODELS = ["one", "two", "three"]
ANSWER_SECONDS = 300
QUIET_SECONDS = 60


def run(seconds, seed):
    """Returns complaints."""
    missing = [reason for part in ("ollama", "services") if (reason := real_parts.why_missing(part))]
    if missing:
        return missing
    with tempfile.TemporaryDirectory(prefix="mgpu-real-soak-") as folder:
        soak = RealSoak(RealHarness(pathlib.Path(folder)), random.Random(seed))
        complaints = soak.run(seconds)
        print(soak.summary(), flush=True)
        if complaints:
            print(soak.harness.daemon.output[-20000:], flush=True)
    return complaints


class RealSoak:
    def __init__(self, harness, rng):
        self.harness, self.rng = harness, rng
        self.stopping = threading.Event()
        self.outcomes = collections.Counter()
        self.disturbances = collections.Counter()
        self.killed_at = [0.0]  # when a process was killed: a request that ran then may fail
        self.complaints = []

    def run(self, seconds):
        harness = self.harness
        harness.start_with({"ollama": harness.ollama_consumer(*OLLAMA_MODELS), "llm": harness.llama_server(),
                            "stt": harness.wyoming_whisper(footprint="200MiB")},
                           gpu="1100MiB", devices=[{"id": "gpu0", "reserve": "0"}],
                           limits={"wait_limit": f"{ANSWER_SECONDS}s"})
        names = [*OLLAMA_MODELS, "llm"]
        threads = [threading.Thread(target=self.ask_again_and_again, args=(names, self.rng.random()), daemon=True)
                   for _ in range(3)]
        threads += [threading.Thread(target=work, args=(self.rng.random(),), daemon=True)
                    for work in (self.speak, self.leave, self.disturb)]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        self.stopping.set()
        for thread in threads:
            thread.join(ANSWER_SECONDS + 20)
        self.complaints += ["a client did not end"] * sum(thread.is_alive() for thread in threads)
        self.check_the_end()
        return self.complaints + harness.stop_and_check()

    def summary(self):
        rows = [f"  {count:5}  {what}" for what, count in sorted((self.outcomes + self.disturbances).items())]
        return "\n".join(["soak: real applications", *rows])

    # --- clients ---

    def ask_again_and_again(self, names, seed):
        rng = random.Random(seed)
        while not self.stopping.wait(rng.random() * 3):
            self.ask(rng.choice(names), rng.choice([2, 20]))

    def ask(self, name, tokens):
        began = time.monotonic()
        body = {"model": name, "max_tokens": tokens, "messages": [{"role": "user", "content": "Say hello."}]}
        try:
            answer = httpx.post(f"{self.harness.url}/v1/chat/completions", json=body, timeout=ANSWER_SECONDS + 10)
            outcome = "answered" if answer.status_code == 200 else f"{answer.status_code} {answer.text[:200]}"
        except httpx.HTTPError as error:
            outcome = f"{type(error).__name__}"
        if outcome != "answered" and any(at > began for at in self.killed_at):
            outcome = "failed with a killed process"
        elif outcome != "answered":
            self.complaints.append(f"{name}, after {time.monotonic() - began:.0f} s: {outcome}")
        self.outcomes[f"{name}: {outcome[:60]}"] += 1

    def speak(self, seed):
        rng = random.Random(seed)
        while not self.stopping.wait(rng.random() * 30):
            loaded = self.harness.post("/v1/consumers/stt/load", timeout=ANSWER_SECONDS)
            self.outcomes[f"stt: {loaded.status_code}"] += 1

    def leave(self, seed):
        """A client that ends its request before the answer."""
        rng = random.Random(seed)
        while not self.stopping.wait(rng.random() * 10):
            connection = self.harness.send_raw_chat(rng.choice([*OLLAMA_MODELS, "llm"]), max_tokens=50)
            self.stopping.wait(rng.random() * 3)
            connection.close()
            self.outcomes["left"] += 1

    # --- what the daemon is not told ---

    def disturb(self, seed):
        rng = random.Random(seed)
        while not self.stopping.wait(rng.random() * 15):
            disturbance = rng.choice([self.keep_alive, self.stop, self.copy_and_remove, self.kill, self.unload])
            try:
                disturbance(rng.choice(OLLAMA_MODELS))
                self.disturbances[f"disturbed: {disturbance.__name__}"] += 1
            except (httpx.HTTPError, AssertionError):
                self.disturbances[f"not disturbed: {disturbance.__name__}"] += 1  # Ollama did not run

    def ollama_url(self):
        return self.harness.consumer("ollama")["url"]

    def keep_alive(self, name):
        seconds = self.rng.choice([0, 1])
        httpx.post(f"{self.ollama_url()}/api/generate", json={"model": name, "keep_alive": seconds}, timeout=60)

    def stop(self, name):
        self.harness.run_ollama("stop", name, url=self.ollama_url(), seconds=60)

    def copy_and_remove(self, name):
        self.harness.run_ollama("cp", name, "copy", seconds=60)
        self.ask("copy", 2)
        self.harness.run_ollama("rm", "copy", url=self.ollama_url(), seconds=60)

    def kill(self, _):
        pids = [process["pid"] for process in self.harness.holders()]
        if pids:
            self.killed_at.append(time.monotonic() + 5)  # a request that starts until it is noticed meets it too
            os.kill(self.rng.choice(pids), signal.SIGKILL)

    def unload(self, _):
        self.harness.post(f"/v1/consumers/{self.rng.choice(['ollama', 'llm', 'stt'])}/unload", timeout=60)

    # --- the end ---

    def check_the_end(self):
        harness = self.harness
        for name in [*OLLAMA_MODELS, "llm"]:
            self.ask(name, 2)
        harness.wait_until_quiet()
        for name in ("ollama", "llm", "stt"):
            harness.post(f"/v1/consumers/{name}/unload", timeout=60)
        for what, holds in (("memory is still held", lambda: harness.held() == 0),
                            ("bytes are still committed", lambda: harness.committed() == 0),
                            ("an AI model is said to be loaded", self.nothing_loaded)):
            try:
                wait_until(holds, what, QUIET_SECONDS)
            except AssertionError:
                self.complaints.append(f"{what}: {harness.gpu_states()} {harness.status()['devices']}")

    def nothing_loaded(self):
        states = {state for name in ("ollama", "llm", "stt") for state in self.harness.residents(name).values()}
        return states <= {"cold", "failed", "gone"}
