"""Injects one fault after the other, chosen by a seed."""
import os
import random
import signal
import threading
import time

from daemon_harness import GiB, wait_until

FOREIGN_STEP_SIZE = "1GiB"  # no more than the reserve: the daemon cannot make room for faster growth
FOREIGN_STEPS = 3
SERVICE_FAULTS = ["crash-at-load", "crash-at-request", "crash-in-stream", "oom", "oom-at-request", "oom-crash-at-request",
                  "fail-unload", "slow-free", "half-free", "never-healthy", "ignore-stop"]
EXTERNAL_FAULTS = ["oom-at-request", "fail-unload", "slow-free"]  # the daemon neither starts nor stops it
CHECKPOINT_FAULTS = ["checkpoint-fails", "restore-fails", "restore-kills", "lock-hangs"]


class FaultInjector(threading.Thread):
    def __init__(self, request_log, seed, services, external, pause, forgotten_consumers=()):
        super().__init__(daemon=True)
        self.request_log, self.harness = request_log, request_log.harness
        self.rng, self.pause = random.Random(seed), pause
        self.services, self.external = services, external
        self.forgotten_consumers = forgotten_consumers  # what was learned of them is deleted again and again
        self.log = []
        self.died_of_memory = set()  # services that ran out of memory at a request
        self.failure = None

    def run(self):
        injections = [self.inject_service_fault] * 6 + [self.inject_checkpoint_fault, self.delay_driver_frees,
                                                        self.grow_foreign_memory, self.kill_service]
        injections += [self.forget_learned] * 5 if self.forgotten_consumers else []
        while not self.request_log.stopping.wait(self.pause * (0.5 + self.rng.random())):
            if not self.request_log.daemon_up.is_set():
                continue
            try:
                self.rng.choice(injections)()
            except Exception as error:
                if self.request_log.daemon_up.is_set():
                    self.failure = f"{self.log[-1]}: {error!r}"
        self.clear_faults()

    def note(self, text):
        self.log.append(f"{time.monotonic():.2f} {text}")

    def inject_service_fault(self):
        name = self.rng.choice(self.services + self.external)
        fault = self.rng.choice(EXTERNAL_FAULTS if name in self.external else SERVICE_FAULTS)
        self.note(f"{name}: {fault}")
        if fault == "oom-crash-at-request":
            self.died_of_memory.add(name)
        fault_file(self.harness, name).write_text(fault)

    def inject_checkpoint_fault(self):
        fault = self.rng.choice(CHECKPOINT_FAULTS)
        self.note(f"cuda-checkpoint: {fault}")
        checkpoint_fault_file(self.harness).write_text(fault)
        self.request_log.stopping.wait(1)
        checkpoint_fault_file(self.harness).write_text("")

    def delay_driver_frees(self):
        self.note("the driver frees the memory of ended processes late")
        self.harness.simgpu("fault", "--slow-exit", "300ms")
        self.request_log.stopping.wait(1)
        self.harness.simgpu("fault", "--slow-exit", "0")

    def kill_service(self):
        name = self.rng.choice(self.services)
        if pid := self.harness.consumer(name)["pid"]:
            self.note(f"{name}: killed")
            os.kill(pid, signal.SIGKILL)

    def forget_learned(self):
        name = self.rng.choice(self.forgotten_consumers)
        self.note(f"{name}: learned footprints deleted")
        self.harness.run_mgpu("footprints", "forget", name)

    def grow_foreign_memory(self):
        """A foreign program allocates memory step by step, and frees it."""
        device = self.rng.choice([0, 1])
        processes = []
        for _ in range(self.rng.randint(1, FOREIGN_STEPS)):
            if not self.has_reserve(device):
                break
            self.note(f"foreign memory grows on device {device}")
            with self.request_log.memory_handover_lock:
                processes.append(self.harness.start_program("hold", FOREIGN_STEP_SIZE, "--device", str(device),
                                                            program="mgpu-simgpu"))
                wait_until(lambda: self.is_shown_as_foreign(device, processes[-1].pid) or processes[-1].child.poll() is not None,
                           "the foreign memory to be measured", 3)
        self.request_log.stopping.wait(self.rng.random() * 2)
        for process in processes:
            process.kill()
            self.harness.processes_started.remove(process)

    def is_shown_as_foreign(self, device, pid):
        memory = self.harness.status()["devices"][device]["memory"]
        return any(process["pid"] == pid for process in memory["foreign_processes"])

    def has_reserve(self, device):
        def is_reserve_free():
            status = self.harness.status()["devices"][device]["memory"]
            gpu = self.harness.gpu_states()[device]
            return status["headroom_bytes"] >= 0 and gpu["total"] - gpu["used"] >= GiB
        try:
            return wait_until(is_reserve_free, "the reserve to be free", 2)
        except AssertionError:
            return False

    def kill_daemon(self):
        """Kills the daemon with SIGKILL and starts the next one at once. Not between a command's grant and its allocation:
        the next daemon could not know of the grant."""
        with self.request_log.memory_handover_lock:
            self.note("the daemon: kill -9")
            self.request_log.daemon_stopped()
            os.kill(self.harness.daemon.pid, signal.SIGKILL)
            self.harness.daemon.child.wait()
            self.harness.http_client.close()
            self.harness.start_daemon()
            self.request_log.daemon_started()

    def clear_faults(self):
        for name in self.services + self.external:
            fault_file(self.harness, name).unlink(missing_ok=True)
        checkpoint_fault_file(self.harness).write_text("")
        self.harness.simgpu("fault", "--slow-exit", "0")


def fault_file(harness, name):
    return harness.folder / f"{name}.fault"


def checkpoint_fault_file(harness):
    return harness.folder / "gpu.checkpoint-fault"
