"""kill -9 of the daemon: its services live on, and the next daemon adopts or ends them before it loads anything."""
import os
import pathlib
import signal
import sqlite3

from house import GiB, exists, wait_until


def settled(house):
    """Who stands in the state file as settled: it is written a moment after it is so."""
    if not house.state_file.exists():
        return None
    with sqlite3.connect(house.state_file) as file:
        return {name for name, in file.execute("SELECT consumer FROM started WHERE settled")}


def kill_daemon(house):
    warm = {consumer["name"] for consumer in house.status()["consumers"] if consumer["state"] == "warm"}
    wait_until(lambda: (known := settled(house)) is None or warm <= known, "everybody to be recorded")
    os.kill(house.daemon.pid, signal.SIGKILL)
    house.daemon.child.wait()
    house.http.close()


def pid_of(house, name):
    return house.consumer(name)["pid"]


def change_record(house, consumer, change):
    with sqlite3.connect(house.state_file) as file:
        assert file.execute(f"UPDATE started SET {change} WHERE consumer = ?", (consumer,)).rowcount == 1


def test_who_was_warm_is_adopted_without_a_second_load(house):
    house.open({"chat": house.fake("chat", "5GiB", load_ms=300), "voice": house.fake("voice", "5GiB", run_ms=5000)})
    house.ask("chat")
    client = house.raw_chat("voice")
    house.wait_for_journal("start", "voice")
    chat, voice = pid_of(house, "chat"), pid_of(house, "voice")

    kill_daemon(house)
    client.hang_up()
    assert exists(chat) and exists(voice)
    house.start_daemon()

    assert house.state("chat") == house.state("voice") == "warm"
    assert (pid_of(house, "chat"), pid_of(house, "voice")) == (chat, voice)
    assert house.ask("chat") == "answer of chat"
    assert not house.events("load"), "nothing was loaded a second time"
    assert {event["consumer"] for _, event in house.events("found_warm")} == {"chat", "voice"}
    # What it holds is its own, and foreign to nobody.
    memory = wait_until(lambda: (m := house.status()["devices"][0]["memory"])["measured_bytes"] >= 10 * GiB and m, "a reading")
    assert memory["foreign_bytes"] == 0
    # It is ours in every way: it makes room, and ends with the daemon.
    house.mgpu("unload", "chat")
    wait_until(lambda: not exists(chat), "chat to be gone")
    assert house.stop_daemon() == 0
    assert not exists(voice) and house.gpus()[0]["used"] == 0


def test_who_was_placed_elsewhere_is_adopted_where_it_is(house):
    voice = house.fake("voice", "3GiB", devices=["first", "second"], flags=["--device", "1"])
    devices = [{"id": "first"}, {"id": "second"}]
    house.open({"chat": house.fake("chat", "6GiB", device="first", pinned=True), "voice": voice}, gpu=["8GiB", "8GiB"], devices=devices)
    house.ask("chat")
    assert house.ask("voice") == "answer of voice"
    assert house.consumer("voice")["device"] == "second"
    left = pid_of(house, "voice")

    kill_daemon(house)
    house.start_daemon()

    assert house.consumer("voice")["device"] == "second" and pid_of(house, "voice") == left
    memory = lambda: [device["memory"] for device in house.status()["devices"]]
    first, second = wait_until(lambda: all(m["measured_bytes"] for m in memory()) and memory(), "readings")
    assert (first["measured_bytes"], second["measured_bytes"]) == (6 * GiB, 3 * GiB)
    assert first["foreign_bytes"] == second["foreign_bytes"] == 0
    assert house.ask("voice") == "answer of voice" and not house.events("load")

    # A device that it may not be on any more is no place to stay.
    kill_daemon(house)
    change_record(house, "voice", "device = 'GPU-of-yore'")
    house.start_daemon()
    assert not exists(left)
    assert "may not be on any more" in house.events("stray_ended")[0][1]["why"]


def test_the_output_goes_on_after_adoption(house):
    house.open({"chat": house.fake("chat", "5GiB")})
    house.ask("chat")
    kill_daemon(house)
    pid = house.processes()[0]
    os.kill(pid, signal.SIGUSR1)  # it says something while nobody listens, and must not die of it

    house.start_daemon()

    wait_until(lambda: "told to talk" in "\n".join(house.consumer("chat")["log"]), "what was said meanwhile")
    os.kill(pid, signal.SIGUSR1)
    wait_until(lambda: "\n".join(house.consumer("chat")["log"]).count("told to talk") == 2, "what is said now")


def test_its_crash_is_noticed_after_adoption(house):
    house.open({"chat": house.fake("chat", "5GiB")})
    house.ask("chat")
    kill_daemon(house)
    house.start_daemon()

    os.kill(pid_of(house, "chat"), signal.SIGKILL)

    wait_until(lambda: house.state("chat") == "cold", "the loss to be noticed")
    assert house.ask("chat") == "answer of chat"


def test_who_was_being_loaded_is_ended(house):
    house.open({"chat": house.fake("chat", "5GiB", load_ms=3000)})
    client = house.raw_chat("chat")
    house.wait_for_state("chat", "loading")
    wait_until(lambda: house.consumer("chat")["pid"], "its process")
    first = pid_of(house, "chat")

    kill_daemon(house)
    client.hang_up()
    house.start_daemon()

    assert not exists(first)
    assert "being loaded" in house.events("stray_ended")[0][1]["why"]
    assert house.ask("chat") == "answer of chat"


def test_whose_configuration_changed_is_ended(house):
    house.open({"chat": house.fake("chat", "5GiB"), "gone": house.fake("gone", "1GiB")})
    house.ask("chat"), house.ask("gone")
    left = pid_of(house, "chat"), pid_of(house, "gone")

    kill_daemon(house)
    house.write_config({"chat": house.fake("chat", "6GiB")})
    house.start_daemon()

    assert not any(map(exists, left))
    why = {event["consumer"]: event["why"] for _, event in house.events("stray_ended")}
    assert "changed" in why["chat"] and "configuration no more" in why["gone"]
    assert house.ask("chat") == "answer of chat"


def test_who_is_not_healthy_is_ended(house):
    house.open({"chat": house.fake("chat", "5GiB")}, limits={"drain_limit": "1s"})
    house.ask("chat")
    left = pid_of(house, "chat")
    kill_daemon(house)
    os.kill(left, signal.SIGSTOP)  # it hangs: it answers nobody, and no SIGTERM

    house.start_daemon()

    assert not exists(left)
    assert "not healthy" in house.events("stray_ended")[0][1]["why"]
    assert house.ask("chat") == "answer of chat"


def test_a_process_that_merely_has_the_number_is_not_touched(house):
    house.open({"chat": house.fake("chat", "5GiB")})
    house.ask("chat")
    left = pid_of(house, "chat")
    kill_daemon(house)
    os.kill(left, signal.SIGKILL)
    wait_until(lambda: not exists(left), "the service to be gone")
    bystander = house.start("3600", program=pathlib.Path("/bin/sleep"))
    change_record(house, "chat", f"pid = {bystander.pid}")

    house.start_daemon()

    assert house.state("chat") == "cold" and not house.events("stray_ended", "found_warm")
    assert house.ask("chat") == "answer of chat"
    assert exists(bystander.pid)
    bystander.kill()


def test_one_that_was_never_recorded_is_ended_by_its_mark(house):
    house.open({"chat": house.fake("chat", "5GiB")})
    house.ask("chat")
    left = pid_of(house, "chat")
    kill_daemon(house)
    with sqlite3.connect(house.state_file) as file:
        file.execute("DELETE FROM started")

    house.start_daemon()

    wait_until(lambda: not exists(left), "the stray to be gone")
    assert house.events("stray_ended")[0][1]["pid"] == left
    assert house.ask("chat") == "answer of chat"


def test_without_a_store_services_die_with_the_daemon(house):
    house.open({"chat": house.fake("chat", "5GiB")}, store="none")
    house.ask("chat")

    kill_daemon(house)

    wait_until(lambda: house.processes() == [], "everybody to be gone")
    assert house.gpus()[0]["used"] == 0
    house.start_daemon()
    assert house.ask("chat") == "answer of chat"
