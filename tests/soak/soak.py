"""The soak: `./dev soak [--seconds N] [--seed S]`; with `--clients N` the raw-socket load instead (raw_socket_load.py), with
`--real` real applications (real_soak.py).

The real daemon on a simulated GPU with two devices, services that load and run in milliseconds, and a dozen clients on
real sockets. Meanwhile services crash, refuse, hang and free too little memory, a foreign program allocates memory and
frees it, and the daemon is killed once. The seed decides the kinds of requests and faults; their timing is not
deterministic, so a seed repeats a run only roughly.

Part one has services that allocate no more than they declared: no allocation may be refused. Part two has services that
allocate more: every request must still be answered, or refused with a clear error.
"""
import argparse
import os
import pathlib
import random
import signal
import sys
import tempfile
import time

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TREE / "tests/e2e"), str(TREE / "tests/soak")]

import client_load
import leak_checks
import raw_socket_load
import real_soak
from daemon_harness import BIN, DaemonHarness, free_port, parse_size, wait_until
from fault_injector import FaultInjector, checkpoint_fault_file, fault_file

HISTORY_ROWS = 300
LIMITS = {"wait_limit": "20s", "room_limit": "3s", "overtake_limit": "500ms", "ageing": "2s", "reading_age": "200ms",
          "history_rows": HISTORY_ROWS, "events": 1000, "park_memory": "8GiB", "lease_ttl": "2s"}
DEVICES = [{"id": "small", "index": 0, "reserve": "1GiB"}, {"id": "large", "index": 1, "reserve": "1GiB", "capacity": 2}]
RECOVERY_SECONDS = 40


def main():
    parser = argparse.ArgumentParser(prog="./dev soak", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120,
                        help="of traffic, the last quarter with underdeclared memory (default 120)")
    parser.add_argument("--seed", type=int, default=None, help="of the run to repeat (default: random)")
    parser.add_argument("--clients", type=int, default=0, help="run this many raw-socket clients instead")
    parser.add_argument("--real", action="store_true", help="real applications instead (real_soak.py)")
    parser.add_argument("--keep", action="store_true",
                        help="print the daemon's log and the injected faults even if the run passes")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"soak: seed {seed}", flush=True)
    complaints = raw_socket_load.run(options.clients, options.seconds, seed) if options.clients else []
    if options.real:
        complaints += real_soak.run(options.seconds, seed)
    for soak_class, part in () if options.clients or options.real else ((DeclaredMemorySoak, 0.75), (UnderdeclaredMemorySoak, 0.25)):
        with tempfile.TemporaryDirectory(prefix="mgpu-soak-") as folder:
            soak = soak_class(DaemonHarness(pathlib.Path(folder)), random.Random(f"{seed} {soak_class.__name__}"))
            complaints_of_run = soak.run(options.seconds * part)
        print(soak.summary(), flush=True)
        if complaints_of_run or options.keep:
            print("\n".join([*soak.fault_injector.log, soak.harness.daemon.output[-20000:]]), flush=True)
        complaints += [f"{soak_class.__name__}: {complaint}" for complaint in complaints_of_run]
    for complaint in complaints[:40]:
        print(f"soak: {complaint}")
    print(f"soak: seed {seed}: {'FAILED, ' + str(len(complaints)) + ' complaints' if complaints else 'passed'}")
    return 1 if complaints else 0


class DeclaredMemorySoak:
    """Every kind of consumer; each allocates no more than it declared."""

    name = "declared memory"
    kills_daemon = True

    def __init__(self, harness, rng):
        self.harness, self.rng = harness, rng
        harness.external = []
        self.request_log = client_load.RequestLog(harness)

    def service(self, name, footprint, device=0, **more):
        flags = ["--faults", str(fault_file(self.harness, name)), "--device", str(device), *more.pop("flags", [])]
        return self.harness.fake_consumer(name, footprint, flags=flags, **{
            "load_ms": self.rng.randint(50, 300), "run_ms": self.rng.randint(5, 60), "device": DEVICES[device]["id"],
            "load_limit": "2s", "stop_limit": "1s", **more})

    def loads_by_request(self):
        return {"flags": ["--lazy"], "load": "POST /load", "unload": "POST /unload"}

    def external_service(self):
        """Starts a service that the daemon does not manage; returns its configuration."""
        port = free_port()
        program = self.harness.start_program("--name", "outside", "--port", port, "--bytes", parse_size("6GiB"), "--lazy",
                                             "--device", 1, "--load-ms", 150, "--run-ms", 20,
                                             "--journal", self.harness.service_journal_file, "--faults", fault_file(self.harness, "outside"),
                                             program="mgpu-fake-service")
        self.harness.external.append(program.pid)
        return {"footprint": "6GiB", "device": "large", "url": f"http://127.0.0.1:{port}", "load": "POST /load",
                "unload": "POST /unload", "load_limit": "2s", "stop_limit": "1s"}

    def consumers(self):
        ollama = self.harness.fake_ollama_consumer({"llama": "3GiB", "qwen": "4GiB", "phi": "2GiB"})
        ollama["runner"]["process"]["command"] += ["--load-ms", "80", "--run-ms", "20", "--faults",
                                                   str(fault_file(self.harness, "ollama"))]
        return {
            "chat": self.service("chat", "5GiB", concurrency=2, **self.loads_by_request()),
            "voice": self.service("voice", "6GiB"),
            "ollama": {**ollama, "device": "small", "load_limit": "2s", "stop_limit": "1s"},
            "whisper": self.service("whisper", "5GiB", working="0", park="cuda-checkpoint"),
            "embed": self.service("embed", "512MiB", working="64MiB", turnless=True, idle_unload="2s"),
            "train": {"kind": "batch", "footprint": "4GiB", "device": "small"},
            "image": self.service("image", "9GiB", 1, working="2GiB", exclusive=True),
            "rerank": self.service("rerank", "4GiB", 1, concurrency=4, priority="interactive"),
            "outside": self.external_service(),
        }

    services = ["chat", "voice", "ollama", "whisper", "embed", "image", "rerank"]
    external = ["outside"]
    forgotten_consumers = []

    def clients(self):
        chats = ["chat", "voice", "whisper", "image", "rerank", "outside"]
        commands = client_load.RunCommandClient(self.request_log, BIN / "mgpu-simgpu")
        return [(client_load.openai_answer, chats, 3), (client_load.openai_stream, chats, 2),
                (client_load.raw_stream, chats, 4), (client_load.ollama_stream, ["llama", "qwen", "phi"], 2),
                (client_load.embedding, ["embed", "rerank"], 1),
                (client_load.lease, ["train"], 1), (commands.run_command, ["train"], 1)]

    # --- the run ---

    def run(self, seconds):
        harness = self.harness
        harness.make_gpu("12GiB", "20GiB")
        checkpoint_fault_file(harness).write_text("")
        consumers = self.consumers()
        harness.write_config(consumers, listen=f"127.0.0.1:{free_port()}", devices=DEVICES, limits=LIMITS,
                             cuda_checkpoint=str(BIN / "fake-cuda-checkpoint"))
        harness.start_daemon()
        self.request_log.daemon_started()
        harness.get("/v1/version")
        before = leak_checks.open_descriptors(harness.daemon.pid)
        self.fault_injector = FaultInjector(self.request_log, self.rng.random(), self.services, self.external, pause=0.8,
                                            forgotten_consumers=self.forgotten_consumers)
        client_threads = [client_load.ClientThread(self.request_log, self.rng.random(), send_request, names, pause=0.15)
                          for send_request, names, count in self.clients() for _ in range(count)]
        self.run_traffic(seconds, [self.fault_injector, *client_threads])
        complaints = self.check_recovery(consumers, client_threads)
        if not complaints:
            complaints = self.check_leaks(before)
        complaints += leak_checks.unanswered_requests(self.request_log, harness.service_journal(),
                                                      self.fault_injector.died_of_memory)
        refused = [row for row in harness.service_journal() if row[0] == "refused"]
        self.refusals = harness.refused_allocations()
        harness.refusals_allowed = not self.kills_daemon
        for program in [process for process in harness.processes_started if process.pid in harness.external]:
            program.kill()
        complaints += harness.stop_and_check()
        return complaints + ([f"refused by the device: {refused}"] if self.kills_daemon and refused else [])

    def run_traffic(self, seconds, threads):
        for thread in threads:
            thread.start()
        time.sleep(seconds / 2)
        if self.kills_daemon:
            self.fault_injector.kill_daemon()
        time.sleep(seconds / 4)
        self.memory_before = leak_checks.resident_memory(self.harness.daemon.pid)
        time.sleep(seconds / 4)
        self.request_log.stopping.set()
        for thread in threads:
            thread.join(client_load.ANSWER_SECONDS + 20)

    def check_recovery(self, consumers, client_threads):
        """Complaints about clients that did not end, and consumers that do not answer after the faults."""
        complaints = [self.fault_injector.failure] if self.fault_injector.failure else []
        self.memory_growth = leak_checks.resident_memory(self.harness.daemon.pid) - self.memory_before
        complaints += ["a client did not end"] * sum(thread.is_alive() for thread in client_threads)
        names = [name for name in consumers if name not in ("train", "ollama")]
        names += ["llama", "qwen", "phi"] * ("ollama" in consumers)
        for name in names:
            try:
                wait_until(lambda: self.is_answering(name), "an answer", RECOVERY_SECONDS)
            except AssertionError:
                complaints.append(f"{name} does not answer after the faults: {self.last_answer}")
        self.harness.wait_until_quiet()
        return complaints

    def is_answering(self, name):
        answer = self.harness.post("/v1/chat/completions", {"model": name, "messages": []})
        self.last_answer = answer.text
        return answer.status_code == 200

    def check_leaks(self, before):
        harness = self.harness
        complaints = list(leak_checks.unsettled_loads(harness))
        complaints = complaints or list(complaints_that_stay(lambda: leak_checks.unexplained_memory(harness)))
        try:
            wait_until(self.unload_all, "all consumers to be unloaded", RECOVERY_SECONDS)
        except AssertionError:
            complaints.append(f"a consumer cannot be unloaded: {self.last_answer}")
        # A service that unloads by request still runs and keeps descriptors of the daemon open until it ends.
        for consumer in harness.status()["consumers"]:
            if consumer["pid"]:
                os.kill(consumer["pid"], signal.SIGKILL)
        complaints += leak_checks.leftovers(harness, before, HISTORY_ROWS)
        if self.memory_growth > leak_checks.RSS_GROWTH:
            complaints.append(f"the daemon grew by {self.memory_growth >> 20} MiB in the last quarter")
        return complaints

    def unload_all(self):
        """Unloads every consumer; true once none holds memory. Prediction may load one again until it was unloaded by the
        operator."""
        self.last_answer = [answer.text for consumer in self.harness.status()["consumers"] if consumer["name"] != "train"
                            if (answer := self.harness.post(f"/v1/consumers/{consumer['name']}/unload")).status_code != 200]
        states = {consumer["state"] for consumer in self.harness.status()["consumers"] if consumer["name"] != "train"}
        return states <= {"cold", "failed"} and not any(gpu["used"] for gpu in self.harness.gpu_states())

    def summary(self):
        lines = [f"  {count:5}  {what}" for what, count in sorted(self.request_log.outcome_counts().items())]
        longest = max((request.seconds for request in self.request_log.requests), default=0)
        return "\n".join([f"soak: {self.name}: {len(self.request_log.requests)} requests, {len(self.fault_injector.log)} faults, "
                          f"{self.refusals} refused allocations, longest answer {longest:.1f} s, "
                          f"memory {self.memory_growth / 2**20:+.1f} MiB", *lines])


def complaints_that_stay(complaints):
    """The complaints that remain once the readings are up to date."""
    try:
        wait_until(lambda: not list(complaints()), "no complaints", 5)
    except AssertionError:
        pass
    return complaints()


class UnderdeclaredMemorySoak(DeclaredMemorySoak):
    """Two services that allocate more than they declared, from the load or while they work, beside two that do not."""

    name = "underdeclared memory"
    kills_daemon = False
    services = ["chat", "voice", "liar", "glutton"]
    external = []
    forgotten_consumers = ["liar", "glutton"]

    def consumers(self):
        return {
            "chat": self.service("chat", "5GiB", **self.loads_by_request()),
            "voice": self.service("voice", "4GiB"),
            "liar": self.service("liar", "3GiB", holds="8GiB"),
            "glutton": {**self.service("glutton", "2GiB", working="3GiB"), "working": "256MiB"},
            "train": {"kind": "batch", "footprint": "4GiB", "device": "small"},
        }

    def clients(self):
        chats = self.services
        return [(client_load.openai_answer, chats, 3), (client_load.openai_stream, chats, 2),
                (client_load.raw_stream, chats, 3), (client_load.lease, ["train"], 1)]


if __name__ == "__main__":
    sys.exit(main())
