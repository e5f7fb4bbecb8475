"""The daemon is killed: its services live on, and the next daemon adopts or ends them before it loads anything."""
import os
import pathlib
import signal
import sqlite3

from daemon_harness import GiB, is_running, wait_until


def settled_consumers(harness):
    """The consumers that the store records as settled, which happens shortly after they are warm; None without a store."""
    if not harness.state_file.exists():
        return None
    with sqlite3.connect(harness.state_file) as file:
        return {name for name, in file.execute("SELECT consumer FROM started WHERE settled")}


def kill_daemon(harness):
    warm = {consumer["name"] for consumer in harness.status()["consumers"] if consumer["state"] == "warm"}
    wait_until(lambda: (recorded := settled_consumers(harness)) is None or warm <= recorded, "all warm consumers to be recorded")
    os.kill(harness.daemon.pid, signal.SIGKILL)
    harness.daemon.child.wait()
    harness.http_client.close()


def pid_of(harness, name):
    return harness.consumer(name)["pid"]


def edit_started_row(harness, consumer, change):
    with sqlite3.connect(harness.state_file) as file:
        assert file.execute(f"UPDATE started SET {change} WHERE consumer = ?", (consumer,)).rowcount == 1


def test_who_was_warm_is_adopted_without_a_second_load(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "5GiB", load_ms=300),
                        "voice": harness.fake_consumer("voice", "5GiB", run_ms=5000)})
    harness.chat("chat")
    client = harness.send_raw_chat("voice")
    harness.wait_for_service_journal("start", "voice")
    chat, voice = pid_of(harness, "chat"), pid_of(harness, "voice")

    kill_daemon(harness)
    client.close()
    assert is_running(chat) and is_running(voice)
    harness.start_daemon()

    assert harness.state("chat") == harness.state("voice") == "warm"
    assert (pid_of(harness, "chat"), pid_of(harness, "voice")) == (chat, voice)
    assert harness.chat("chat") == "answer of chat"
    assert not harness.events("load"), "nothing must be loaded a second time"
    assert {event["consumer"] for _, event in harness.events("found_warm")} == {"chat", "voice"}
    # Their memory is attributed to them, not foreign.
    memory = wait_until(lambda: (m := harness.status()["devices"][0]["memory"])["measured_bytes"] >= 10 * GiB and m, "a reading")
    assert memory["foreign_bytes"] == 0
    # An adopted service is like one that this daemon started: it can be unloaded, and ends with the daemon.
    harness.run_mgpu("unload", "chat")
    wait_until(lambda: not is_running(chat), "chat's process to end")
    assert harness.stop_daemon() == 0
    assert not is_running(voice) and harness.gpu_states()[0]["used"] == 0


def test_who_was_placed_elsewhere_is_adopted_where_it_is(harness):
    voice = harness.fake_consumer("voice", "3GiB", devices=["first", "second"], flags=["--device", "1"])
    devices = [{"id": "first"}, {"id": "second"}]
    harness.start_with({"chat": harness.fake_consumer("chat", "6GiB", device="first", pinned=True), "voice": voice},
                       gpu=["8GiB", "8GiB"], devices=devices)
    harness.chat("chat")
    assert harness.chat("voice") == "answer of voice"
    assert harness.consumer("voice")["device"] == "second"
    old_pid = pid_of(harness, "voice")

    kill_daemon(harness)
    harness.start_daemon()

    assert harness.consumer("voice")["device"] == "second" and pid_of(harness, "voice") == old_pid
    memory = lambda: [device["memory"] for device in harness.status()["devices"]]
    first, second = wait_until(lambda: all(m["measured_bytes"] for m in memory()) and memory(), "readings")
    assert (first["measured_bytes"], second["measured_bytes"]) == (6 * GiB, 3 * GiB)
    assert first["foreign_bytes"] == second["foreign_bytes"] == 0
    assert harness.chat("voice") == "answer of voice" and not harness.events("load")

    # A service on a device that its configuration no longer allows is ended.
    kill_daemon(harness)
    edit_started_row(harness, "voice", "device = 'GPU-of-yore'")
    harness.start_daemon()
    assert not is_running(old_pid)
    assert "may not be on any more" in harness.events("stray_ended")[0][1]["why"]


def test_the_output_goes_on_after_adoption(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "5GiB")})
    harness.chat("chat")
    kill_daemon(harness)
    pid = harness.process_pids()[0]
    os.kill(pid, signal.SIGUSR1)  # it writes output that nothing reads, and must survive that

    harness.start_daemon()

    wait_until(lambda: "told to talk" in "\n".join(harness.consumer("chat")["log"]), "the output from before the adoption")
    os.kill(pid, signal.SIGUSR1)
    wait_until(lambda: "\n".join(harness.consumer("chat")["log"]).count("told to talk") == 2, "the output after the adoption")


def test_its_crash_is_noticed_after_adoption(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "5GiB")})
    harness.chat("chat")
    kill_daemon(harness)
    harness.start_daemon()

    os.kill(pid_of(harness, "chat"), signal.SIGKILL)

    wait_until(lambda: harness.state("chat") == "cold", "the daemon to notice the crash")
    assert harness.chat("chat") == "answer of chat"


def test_who_was_being_loaded_is_ended(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "5GiB", load_ms=3000)})
    client = harness.send_raw_chat("chat")
    harness.wait_for_state("chat", "loading")
    wait_until(lambda: harness.consumer("chat")["pid"], "its process")
    first = pid_of(harness, "chat")

    kill_daemon(harness)
    client.close()
    harness.start_daemon()

    assert not is_running(first)
    assert "being loaded" in harness.events("stray_ended")[0][1]["why"]
    assert harness.chat("chat") == "answer of chat"


def test_whose_configuration_changed_is_ended(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "5GiB"), "gone": harness.fake_consumer("gone", "1GiB")})
    harness.chat("chat"), harness.chat("gone")
    old_pids = pid_of(harness, "chat"), pid_of(harness, "gone")

    kill_daemon(harness)
    harness.write_config({"chat": harness.fake_consumer("chat", "6GiB")})
    harness.start_daemon()

    assert not any(map(is_running, old_pids))
    why = {event["consumer"]: event["why"] for _, event in harness.events("stray_ended")}
    assert "changed" in why["chat"] and "configuration no more" in why["gone"]
    assert harness.chat("chat") == "answer of chat"


def test_who_is_not_healthy_is_ended(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "5GiB")}, limits={"drain_limit": "1s"})
    harness.chat("chat")
    old_pid = pid_of(harness, "chat")
    kill_daemon(harness)
    os.kill(old_pid, signal.SIGSTOP)  # it answers neither requests nor SIGTERM

    harness.start_daemon()

    assert not is_running(old_pid)
    assert "not healthy" in harness.events("stray_ended")[0][1]["why"]
    assert harness.chat("chat") == "answer of chat"


def test_a_process_that_merely_has_the_number_is_not_touched(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "5GiB")})
    harness.chat("chat")
    old_pid = pid_of(harness, "chat")
    kill_daemon(harness)
    os.kill(old_pid, signal.SIGKILL)
    wait_until(lambda: not is_running(old_pid), "the service to end")
    bystander = harness.start_program("3600", program=pathlib.Path("/bin/sleep"))
    edit_started_row(harness, "chat", f"pid = {bystander.pid}")

    harness.start_daemon()

    assert harness.state("chat") == "cold" and not harness.events("stray_ended", "found_warm")
    assert harness.chat("chat") == "answer of chat"
    assert is_running(bystander.pid)
    bystander.kill()


def test_one_that_was_never_recorded_is_ended_by_its_mark(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "5GiB")})
    harness.chat("chat")
    old_pid = pid_of(harness, "chat")
    kill_daemon(harness)
    with sqlite3.connect(harness.state_file) as file:
        file.execute("DELETE FROM started")

    harness.start_daemon()

    wait_until(lambda: not is_running(old_pid), "the stray process to end")
    assert harness.events("stray_ended")[0][1]["pid"] == old_pid
    assert harness.chat("chat") == "answer of chat"


def test_without_a_store_services_die_with_the_daemon(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "5GiB")}, store="none")
    harness.chat("chat")

    kill_daemon(harness)

    wait_until(lambda: harness.process_pids() == [], "all services to end")
    assert harness.gpu_states()[0]["used"] == 0
    harness.start_daemon()
    assert harness.chat("chat") == "answer of chat"
