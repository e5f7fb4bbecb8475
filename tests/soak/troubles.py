"""What goes wrong, one thing after the other, from a seed."""
import os
import random
import signal
import threading
import time

from daemon_harness import GiB, wait_until

STEP = "1GiB"  # a foreign program grows by no more than the reserve at once: faster, no daemon could make room
FOREIGN_STEPS = 3
AT_SERVICES = ["crash-at-load", "crash-at-request", "crash-in-stream", "oom", "oom-at-request", "oom-crash-at-request",
               "fail-unload", "slow-free", "half-free", "never-healthy", "ignore-stop"]
AT_EXTERNAL = ["oom-at-request", "fail-unload", "slow-free"]  # nobody could start or stop it
AT_CHECKPOINT = ["checkpoint-fails", "restore-fails", "restore-kills", "lock-hangs"]


class Troubles(threading.Thread):
    def __init__(self, book, seed, services, external, pause, forgets=()):
        super().__init__(daemon=True)
        self.book, self.harness = book, book.harness
        self.dice, self.pause = random.Random(seed), pause
        self.services, self.external = services, external
        self.forgets = forgets  # whose surprises are to stay surprises
        self.log = []
        self.died_of_memory = set()  # services that were made to, at a request
        self.failure = None

    def run(self):
        kinds = [self.at_service] * 6 + [self.at_checkpoint, self.slow_driver, self.foreign, self.crash_while_idle]
        kinds += [self.forget] * 5 if self.forgets else []
        while not self.book.over.wait(self.pause * (0.5 + self.dice.random())):
            if not self.book.up.is_set():
                continue
            try:
                self.dice.choice(kinds)()
            except Exception as error:
                if self.book.up.is_set():
                    self.failure = f"{self.log[-1]}: {error!r}"
        self.clear()

    def note(self, text):
        self.log.append(f"{time.monotonic():.2f} {text}")

    def at_service(self):
        name = self.dice.choice(self.services + self.external)
        fault = self.dice.choice(AT_EXTERNAL if name in self.external else AT_SERVICES)
        self.note(f"{name}: {fault}")
        if fault == "oom-crash-at-request":
            self.died_of_memory.add(name)
        fault_file(self.harness, name).write_text(fault)

    def at_checkpoint(self):
        fault = self.dice.choice(AT_CHECKPOINT)
        self.note(f"cuda-checkpoint: {fault}")
        checkpoint_file(self.harness).write_text(fault)
        self.book.over.wait(1)
        checkpoint_file(self.harness).write_text("")

    def slow_driver(self):
        self.note("the memory of ended processes shows late")
        self.harness.simgpu("fault", "--slow-exit", "300ms")
        self.book.over.wait(1)
        self.harness.simgpu("fault", "--slow-exit", "0")

    def crash_while_idle(self):
        name = self.dice.choice(self.services)
        if pid := self.harness.consumer(name)["pid"]:
            self.note(f"{name}: killed")
            os.kill(pid, signal.SIGKILL)

    def forget(self):
        name = self.dice.choice(self.forgets)
        self.note(f"{name}: what was learned is forgotten")
        self.harness.run_mgpu("footprints", "forget", name)

    def foreign(self):
        """A game takes memory step by step, and returns it."""
        device = self.dice.choice([0, 1])
        held = []
        for _ in range(self.dice.randint(1, FOREIGN_STEPS)):
            if not self.reserve_is_there(device):
                break
            self.note(f"foreign memory grows on device {device}")
            with self.book.delicate:
                held.append(self.harness.start_program("hold", STEP, "--device", str(device), program="mgpu-simgpu"))
                wait_until(lambda: self.shown_as_foreign(device, held[-1].pid) or held[-1].child.poll() is not None,
                           "the daemon to see it", 3)
        self.book.over.wait(self.dice.random() * 2)
        for one in held:
            one.kill()
            self.harness.processes_started.remove(one)

    def shown_as_foreign(self, device, pid):
        memory = self.harness.status()["devices"][device]["memory"]
        return any(process["pid"] == pid for process in memory["foreign_processes"])

    def reserve_is_there(self, device):
        def free():
            status = self.harness.status()["devices"][device]["memory"]
            gpu = self.harness.gpu_states()[device]
            return status["headroom_bytes"] >= 0 and gpu["total"] - gpu["used"] >= GiB
        try:
            return wait_until(free, "the reserve", 2)
        except AssertionError:
            return False

    def kill_daemon(self):
        """kill -9, and the next one at once. Not while a command is about to take the memory that it was granted: the
        next daemon cannot know of that."""
        with self.book.delicate:
            self.note("the daemon: kill -9")
            self.book.ends()
            os.kill(self.harness.daemon.pid, signal.SIGKILL)
            self.harness.daemon.child.wait()
            self.harness.http_client.close()
            self.harness.start_daemon()
            self.book.begins()

    def clear(self):
        for name in self.services + self.external:
            fault_file(self.harness, name).unlink(missing_ok=True)
        checkpoint_file(self.harness).write_text("")
        self.harness.simgpu("fault", "--slow-exit", "0")


def fault_file(harness, name):
    return harness.folder / f"{name}.fault"


def checkpoint_file(harness):
    return harness.folder / "gpu.checkpoint-fault"
