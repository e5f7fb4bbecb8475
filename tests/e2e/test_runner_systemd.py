"""A consumer that is a unit of the user's systemd: started, evicted by stop, killed, found, and noticed when it dies.
Where no such systemd runs (in most containers) src/runner/unit_test.cc tells the same stories with one of our own."""
import os
import pathlib
import signal
import subprocess

import pytest

from house import BIN, free_port, in_bytes, wait_until


def systemctl(*words):
    return subprocess.run(["systemctl", "--user", *words], capture_output=True, text=True, timeout=30)


def user_systemd_runs():
    try:
        return systemctl("show-environment").returncode == 0
    except OSError:
        return False


pytestmark = pytest.mark.skipif(not user_systemd_runs(), reason="no systemd of the user runs here")


class Unit:
    """chat as a unit that lives as long as the story."""

    def __init__(self, house):
        self.house, self.port = house, free_port()
        self.name = f"mgpu-test-{os.getpid()}.service"
        self.file = pathlib.Path(os.environ["XDG_RUNTIME_DIR"], "systemd/user", self.name)
        house.programs.append(self)  # ends after the daemon

    def write(self, *flags, **settings):
        command = [BIN / "mgpu-fake-service", "--name", "chat", "--port", self.port, "--bytes", in_bytes("8GiB"),
                   "--journal", self.house.journal_file, *flags]
        wanted = ("MGPU_SIMGPU", "MGPU_NVML_LIBRARY", "MGPU_HOUSE")
        lines = ["[Service]", "ExecStart=" + " ".join(map(str, command))]
        lines += [f"Environment={name}={self.house.env[name]}" for name in wanted]
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
def unit(house):
    return Unit(house)


def test_it_is_started_and_evicted_by_stop(house, unit):
    unit.write()
    house.open({"chat": unit.config(), "voice": house.fake("voice", "8GiB")})
    for name in ("chat", "voice", "chat"):
        assert house.ask(name) == f"answer of {name}"
    assert [data["rung"] for _, data in house.events("evicted")] == ["stop", "stop"]
    assert unit.state() == "active"

    assert house.stop_daemon() == 0
    assert unit.state() == "inactive", "what the daemon started ends with it"


def test_one_that_ignores_stop_is_killed_and_not_started_again(house, unit):
    unit.write("--fault", "ignore-stop", Restart="always", RestartSec="100ms")
    house.open({"chat": unit.config(stop_limit="300ms"), "voice": house.fake("voice", "8GiB")})
    house.ask("chat")
    assert house.ask("voice") == "answer of voice"
    assert [data["rung"] for _, data in house.events("evict")] == ["stop", "kill"]
    assert unit.state() in ("inactive", "failed")


def test_its_death_is_noticed_at_once(house, unit):
    unit.write()
    house.open({"chat": unit.config()})
    house.ask("chat")
    os.kill(house.consumer("chat")["pid"], signal.SIGKILL)

    house.wait_for_state("chat", "cold")
    assert "was ended by signal 9" in house.events("service_lost")[0][1]["error"]["message"]
    assert house.ask("chat") == "answer of chat"


def test_one_that_cannot_start_says_why(house, unit):
    unit.write(Type="notify", NotifyAccess="all", TimeoutStartSec="300ms")
    house.open({"chat": unit.config()})
    answer = house.post("/v1/chat/completions", {"model": "chat"})
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "load_failed"
    assert 'its start ended with "timeout"' in answer.json()["error"]["message"] or \
        'its start ended with "failed"' in answer.json()["error"]["message"]


def test_one_that_is_active_already_is_warm_and_may_be_evicted(house, unit):
    house.make_gpu("12GiB")
    unit.write()
    systemctl("start", unit.name)
    wait_until(lambda: house.gpus()[0]["used"] >= in_bytes("8GiB"), "its memory")
    house.write_config({"chat": unit.config(), "voice": house.fake("voice", "8GiB")})
    house.start_daemon()
    house.wait_for_state("chat", "warm")
    assert house.ask("voice") == "answer of voice"
    assert [data["consumer"] for _, data in house.events("evict")] == ["chat"]
    assert unit.state() == "inactive"


def test_one_that_was_active_before_the_daemon_stays_active_after_it(house, unit):
    house.make_gpu("12GiB")
    unit.write()
    systemctl("start", unit.name)
    house.write_config({"chat": unit.config()})
    house.start_daemon()
    house.wait_for_state("chat", "warm")
    assert house.stop_daemon() == 0
    assert unit.state() == "active"
