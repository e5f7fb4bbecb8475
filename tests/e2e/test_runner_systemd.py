"""A consumer that is a unit of the user's systemd: started, evicted by stop, killed, found; its death is noticed.
Without such a systemd (in most containers) src/runner/unit_test.cc tests the same with a fake one."""
import os
import pathlib
import signal
import subprocess

import pytest

from daemon_harness import BIN, free_port, parse_size, wait_until


def systemctl(*words):
    return subprocess.run(["systemctl", "--user", *words], capture_output=True, text=True, timeout=30)


def user_systemd_runs():
    try:
        return systemctl("show-environment").returncode == 0
    except OSError:
        return False


pytestmark = pytest.mark.skipif(not user_systemd_runs(), reason="needs a running systemd of the user")


class UserUnit:
    """A unit of the user's systemd for the consumer chat; kill() removes it."""

    def __init__(self, harness):
        self.harness, self.port = harness, free_port()
        self.name = f"mgpu-test-{os.getpid()}.service"
        self.file = pathlib.Path(os.environ["XDG_RUNTIME_DIR"], "systemd/user", self.name)
        harness.processes_started.append(self)  # ends after the daemon

    def write(self, *flags, **settings):
        command = [BIN / "mgpu-fake-service", "--name", "chat", "--port", self.port, "--bytes", parse_size("8GiB"),
                   "--journal", self.harness.service_journal_file, *flags]
        wanted = ("MGPU_SIMGPU", "MGPU_NVML_LIBRARY", "MGPU_TEST_HARNESS")
        lines = ["[Service]", "ExecStart=" + " ".join(map(str, command))]
        lines += [f"Environment={name}={self.harness.env[name]}" for name in wanted]
        lines += [f"{key}={value}" for key, value in settings.items()]
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text("\n".join(lines) + "\n")
        assert systemctl("daemon-reload").returncode == 0

    def config(self, **config):
        return {"footprint": "8GiB", "url": f"http://127.0.0.1:{self.port}", "load_limit": "10s", "stop_limit": "5s",
                "runner": {"systemd": {"unit": self.name, "bus": "user"}}, **config}

    def state(self):
        return systemctl("show", "--value", "-p", "ActiveState", self.name).stdout.strip()

    def kill(self):
        systemctl("kill", "--signal=SIGKILL", self.name)
        systemctl("stop", self.name)
        self.file.unlink(missing_ok=True)
        systemctl("daemon-reload")
        systemctl("reset-failed", self.name)


@pytest.fixture
def user_unit(harness):
    return UserUnit(harness)


def test_it_is_started_and_evicted_by_stop(harness, user_unit):
    user_unit.write()
    harness.start_with({"chat": user_unit.config(), "voice": harness.fake_consumer("voice", "8GiB")})
    for name in ("chat", "voice", "chat"):
        assert harness.chat(name) == f"answer of {name}"
    assert [data["rung"] for _, data in harness.events("evicted")] == ["stop", "stop"]
    assert user_unit.state() == "active"

    assert harness.stop_daemon() == 0
    assert user_unit.state() == "inactive", "a unit that the daemon started must end with it"


def test_one_that_ignores_stop_is_killed_and_not_started_again(harness, user_unit):
    user_unit.write("--fault", "ignore-stop", Restart="always", RestartSec="100ms")
    harness.start_with({"chat": user_unit.config(stop_limit="300ms"), "voice": harness.fake_consumer("voice", "8GiB")})
    harness.chat("chat")
    assert harness.chat("voice") == "answer of voice"
    assert [data["rung"] for _, data in harness.events("evict")] == ["stop", "kill"]
    assert user_unit.state() in ("inactive", "failed")


def test_its_death_is_noticed_at_once(harness, user_unit):
    user_unit.write()
    harness.start_with({"chat": user_unit.config()})
    harness.chat("chat")
    os.kill(harness.consumer("chat")["pid"], signal.SIGKILL)

    harness.wait_for_state("chat", "cold")
    assert "was ended by signal 9" in harness.events("service_lost")[0][1]["error"]["message"]
    assert harness.chat("chat") == "answer of chat"


def test_one_that_cannot_start_says_why(harness, user_unit):
    user_unit.write(Type="notify", NotifyAccess="all", TimeoutStartSec="300ms")
    harness.start_with({"chat": user_unit.config()})
    answer = harness.post("/v1/chat/completions", {"model": "chat"})
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "load_failed"
    assert 'its start ended with "timeout"' in answer.json()["error"]["message"] or \
        'its start ended with "failed"' in answer.json()["error"]["message"]


def test_one_that_is_active_already_is_warm_and_may_be_evicted(harness, user_unit):
    harness.make_gpu("12GiB")
    user_unit.write()
    systemctl("start", user_unit.name)
    wait_until(lambda: harness.gpu_states()[0]["used"] >= parse_size("8GiB"), "its memory to be allocated")
    harness.write_config({"chat": user_unit.config(), "voice": harness.fake_consumer("voice", "8GiB")})
    harness.start_daemon()
    harness.wait_for_state("chat", "warm")
    assert harness.chat("voice") == "answer of voice"
    assert [data["consumer"] for _, data in harness.events("evict")] == ["chat"]
    assert user_unit.state() == "inactive"


def test_one_that_was_active_before_the_daemon_stays_active_after_it(harness, user_unit):
    harness.make_gpu("12GiB")
    user_unit.write()
    systemctl("start", user_unit.name)
    harness.write_config({"chat": user_unit.config()})
    harness.start_daemon()
    harness.wait_for_state("chat", "warm")
    assert harness.stop_daemon() == 0
    assert user_unit.state() == "active"
