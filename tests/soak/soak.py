"""An hour of a busy house in two minutes: `./dev soak [--seconds N] [--seed S]`; with `--clients N` a crowd of raw
sockets instead (crowd.py).

The real daemon on a simulated GPU with two devices, services whose seconds are milliseconds, and a dozen clients over
real sockets, while services crash, refuse, hang and keep what they were to free, a foreign program takes memory and
returns it, and the daemon itself is killed once. The seed decides who asks what and what goes wrong; the clock decides
the rest, so a seed tells the weather and not each drop.

First among services that keep to what they declared: no allocation may be refused. Then among liars, who take more:
there every request must still be answered, or refused in clear words.
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

import audit
import crowd
import people
from daemon_harness import BIN, DaemonHarness, free_port, parse_size, wait_until
from troubles import Troubles, checkpoint_file, fault_file

HISTORY_ROWS = 300
LIMITS = {"wait_limit": "20s", "room_limit": "3s", "overtake_limit": "500ms", "ageing": "2s", "reading_age": "200ms",
          "history_rows": HISTORY_ROWS, "events": 1000, "park_memory": "8GiB", "lease_ttl": "2s"}
DEVICES = [{"id": "small", "index": 0, "reserve": "1GiB"}, {"id": "large", "index": 1, "reserve": "1GiB", "capacity": 2}]
RECOVERY_SECONDS = 40


def main():
    parser = argparse.ArgumentParser(prog="./dev soak", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120, help="of traffic, a quarter of it among liars (default 120)")
    parser.add_argument("--seed", type=int, default=None, help="of the run to repeat (default: a new one)")
    parser.add_argument("--clients", type=int, default=0, help="so many raw sockets that cancel, stall and leave, instead")
    parser.add_argument("--keep", action="store_true", help="print the daemon's log and what went wrong when, also if all went well")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"soak: seed {seed}", flush=True)
    complaints = crowd.run(options.clients, options.seconds, seed) if options.clients else []
    for play, part in () if options.clients else ((Honest, 0.75), (Liars, 0.25)):
        with tempfile.TemporaryDirectory(prefix="mgpu-soak-") as folder:
            soak = play(DaemonHarness(pathlib.Path(folder)), random.Random(f"{seed} {play.__name__}"))
            found = soak.run(options.seconds * part)
        print(soak.summary(), flush=True)
        if found or options.keep:
            print("\n".join([*soak.troubles.log, soak.harness.daemon.output[-20000:]]), flush=True)
        complaints += [f"{play.__name__}: {complaint}" for complaint in found]
    for complaint in complaints[:40]:
        print(f"soak: {complaint}")
    print(f"soak: seed {seed}: {'FAILED, ' + str(len(complaints)) + ' complaints' if complaints else 'passed'}")
    return 1 if complaints else 0


class Honest:
    """Every kind of consumer, each of whom takes what it declared."""

    name = "honest services"
    killed = True

    def __init__(self, harness, dice):
        self.harness, self.dice = harness, dice
        harness.external = []
        self.book = people.Book(harness)

    def service(self, name, footprint, device=0, **more):
        flags = ["--faults", str(fault_file(self.harness, name)), "--device", str(device), *more.pop("flags", [])]
        return self.harness.fake_consumer(name, footprint, flags=flags, **{
            "load_ms": self.dice.randint(50, 300), "run_ms": self.dice.randint(5, 60), "device": DEVICES[device]["id"],
            "load_limit": "2s", "stop_limit": "1s", **more})

    def by_request(self):
        return {"flags": ["--lazy"], "load": "POST /load", "unload": "POST /unload"}

    def outside(self):
        """A service that is not the daemon's to start."""
        port = free_port()
        program = self.harness.start_program("--name", "outside", "--port", port, "--bytes", parse_size("6GiB"), "--lazy", "--device", 1,
                                             "--load-ms", 150, "--run-ms", 20, "--journal", self.harness.service_journal_file,
                                             "--faults", fault_file(self.harness, "outside"), program="mgpu-fake-service")
        self.harness.external.append(program.pid)
        return {"footprint": "6GiB", "device": "large", "url": f"http://127.0.0.1:{port}", "load": "POST /load",
                "unload": "POST /unload", "load_limit": "2s", "stop_limit": "1s"}

    def consumers(self):
        ollama = self.harness.fake_ollama_consumer({"llama": "3GiB", "qwen": "4GiB", "phi": "2GiB"})
        ollama["runner"]["process"]["command"] += ["--load-ms", "80", "--run-ms", "20", "--faults",
                                                   str(fault_file(self.harness, "ollama"))]
        return {
            "chat": self.service("chat", "5GiB", concurrency=2, **self.by_request()),
            "voice": self.service("voice", "6GiB"),
            "ollama": {**ollama, "device": "small", "load_limit": "2s", "stop_limit": "1s"},
            "whisper": self.service("whisper", "5GiB", working="0", park="cuda-checkpoint"),
            "embed": self.service("embed", "512MiB", working="64MiB", turnless=True, idle_unload="2s"),
            "train": {"kind": "batch", "footprint": "4GiB", "device": "small"},
            "image": self.service("image", "9GiB", 1, working="2GiB", exclusive=True),
            "rerank": self.service("rerank", "4GiB", 1, concurrency=4, priority="interactive"),
            "outside": self.outside(),
        }

    services = ["chat", "voice", "ollama", "whisper", "embed", "image", "rerank"]
    external = ["outside"]
    forgets = []

    def people(self):
        chats = ["chat", "voice", "whisper", "image", "rerank", "outside"]
        commands = people.Commands(self.book, BIN / "mgpu-simgpu")
        return [(people.openai_answer, chats, 3), (people.openai_stream, chats, 2), (people.raw_stream, chats, 4),
                (people.ollama_stream, ["llama", "qwen", "phi"], 2), (people.embedding, ["embed", "rerank"], 1),
                (people.lease, ["train"], 1), (commands.command, ["train"], 1)]

    # --- the story ---

    def run(self, seconds):
        harness = self.harness
        harness.make_gpu("12GiB", "20GiB")
        checkpoint_file(harness).write_text("")
        consumers = self.consumers()
        harness.write_config(consumers, listen=f"127.0.0.1:{free_port()}", devices=DEVICES, limits=LIMITS,
                             cuda_checkpoint=str(BIN / "fake-cuda-checkpoint"))
        harness.start_daemon()
        self.book.begins()
        harness.get("/v1/version")
        before = audit.descriptors(harness.daemon.pid)
        self.troubles = Troubles(self.book, self.dice.random(), self.services, self.external, pause=0.8,
                                 forgets=self.forgets)
        persons = [people.Person(self.book, self.dice.random(), way, whom, pause=0.15)
                   for way, whom, count in self.people() for _ in range(count)]
        self.live(seconds, [self.troubles, *persons])
        complaints = self.settle(consumers, persons)
        if not complaints:
            complaints = self.audit(before)
        complaints += audit.answered_once(self.book, harness.service_journal(), self.troubles.died_of_memory)
        refused = [row for row in harness.service_journal() if row[0] == "refused"]
        self.refusals = harness.refused_allocations()
        harness.refusals_allowed = not self.killed
        for program in [one for one in harness.processes_started if one.pid in harness.external]:
            program.kill()
        return complaints + harness.stop_and_check() + ([f"refused by the device: {refused}"] if self.killed and refused else [])

    def live(self, seconds, threads):
        for thread in threads:
            thread.start()
        time.sleep(seconds / 2)
        if self.killed:
            self.troubles.kill_daemon()
        time.sleep(seconds / 4)
        self.memory_then = audit.resident_memory(self.harness.daemon.pid)
        time.sleep(seconds / 4)
        self.book.over.set()
        for thread in threads:
            thread.join(people.ANSWER_SECONDS + 20)

    def settle(self, consumers, crowd):
        """After the storm everybody is answered again."""
        complaints = [self.troubles.failure] if self.troubles.failure else []
        self.memory_growth = audit.resident_memory(self.harness.daemon.pid) - self.memory_then
        complaints += ["a client never came back"] * sum(one.is_alive() for one in crowd)
        names = [name for name in consumers if name not in ("train", "ollama")] + ["llama", "qwen", "phi"] * ("ollama" in consumers)
        for name in names:
            try:
                wait_until(lambda: self.answers(name), "", RECOVERY_SECONDS)
            except AssertionError:
                complaints.append(f"{name} does not answer after the storm: {self.told}")
        self.harness.wait_until_quiet()
        return complaints

    def answers(self, name):
        answer = self.harness.post("/v1/chat/completions", {"model": name, "messages": []})
        self.told = answer.text
        return answer.status_code == 200

    def audit(self, before):
        harness = self.harness
        complaints = list(audit.at_rest(harness)) or list(wait_for_none(lambda: audit.memory_is_explained(harness)))
        try:
            wait_until(self.empty, "", RECOVERY_SECONDS)
        except AssertionError:
            complaints.append(f"not everybody can be unloaded: {self.told}")
        # Who was only asked to unload lives on; its pipe and its pid belong to the daemon as long as it does.
        for consumer in harness.status()["consumers"]:
            if consumer["pid"]:
                os.kill(consumer["pid"], signal.SIGKILL)
        complaints += audit.nothing_is_left(harness, before, HISTORY_ROWS)
        if self.memory_growth > audit.RSS_GROWTH:
            complaints.append(f"the daemon grew by {self.memory_growth >> 20} MiB in the last quarter")
        return complaints

    def empty(self):
        """Unloads everybody; true once nobody holds anything. While there is room, whoever is usual at this hour is
        loaded by itself, until it was told to leave."""
        self.told = [answer.text for consumer in self.harness.status()["consumers"] if consumer["name"] != "train"
                     if (answer := self.harness.post(f"/v1/consumers/{consumer['name']}/unload")).status_code != 200]
        states = {consumer["state"] for consumer in self.harness.status()["consumers"] if consumer["name"] != "train"}
        return states <= {"cold", "failed"} and not any(gpu["used"] for gpu in self.harness.gpu_states())

    def summary(self):
        lines = [f"  {count:5}  {what}" for what, count in sorted(self.book.counts().items())]
        longest = max((one.seconds for one in self.book.asked), default=0)
        return "\n".join([f"soak: {self.name}: {len(self.book.asked)} requests, {len(self.troubles.log)} troubles, "
                          f"{self.refusals} refused allocations, longest answer {longest:.1f} s, "
                          f"memory {self.memory_growth / 2**20:+.1f} MiB", *lines])


def wait_for_none(complaints):
    """The complaints that are still there when the readings have caught up."""
    try:
        wait_until(lambda: not list(complaints()), "", 5)
    except AssertionError:
        pass
    return complaints()


class Liars(Honest):
    """Two who take more than they declared, from the start or while they work, among two who do not."""

    name = "among liars"
    killed = False
    services = ["chat", "voice", "liar", "glutton"]
    external = []
    forgets = ["liar", "glutton"]

    def consumers(self):
        return {
            "chat": self.service("chat", "5GiB", **self.by_request()),
            "voice": self.service("voice", "4GiB"),
            "liar": self.service("liar", "3GiB", holds="8GiB"),
            "glutton": {**self.service("glutton", "2GiB", working="3GiB"), "working": "256MiB"},
            "train": {"kind": "batch", "footprint": "4GiB", "device": "small"},
        }

    def people(self):
        chats = self.services
        return [(people.openai_answer, chats, 3), (people.openai_stream, chats, 2), (people.raw_stream, chats, 3),
                (people.lease, ["train"], 1)]


if __name__ == "__main__":
    sys.exit(main())
