"""A second daemon neither ends nor adopts the processes of a first one that lives, whatever happened to the files of the
store. Once the first is dead, the usual recovery applies."""
import os
import shutil
import signal
import sqlite3

import httpx

from daemon_harness import is_running, wait_until


def delete_store(harness):
    for file in harness.state_file.parent.glob("mgpu.db*"):
        file.unlink()


def second_daemon(harness, config=None):
    """Starts another daemon; returns it and its URL."""
    daemon = harness.start_program("serve", "--config", config or harness.config_file)
    return daemon, daemon.wait_for_output(r"listening on (http://[^\s,]+)")[1]


def stop_daemon(daemon, number=signal.SIGTERM):
    daemon.signal(number)
    daemon.child.wait(20)


def wait_until_recorded(harness, consumer):
    def is_settled():
        with sqlite3.connect(harness.state_file) as file:
            return file.execute("SELECT count(*) FROM started WHERE settled AND consumer = ?", (consumer,)).fetchone()[0]

    wait_until(is_settled, f"{consumer} to be recorded as settled")


def kill_first(harness):
    stop_daemon(harness.daemon, signal.SIGKILL)
    harness.http_client.close()


def assert_first_still_owns(harness, pid, second):
    second.wait_for_output(rf"did not end process {pid} of chat: it belongs to another running mgpu \(process {harness.daemon.pid}\)")
    assert is_running(pid) and harness.consumer("chat")["pid"] == pid
    assert harness.chat("chat") == "answer of chat" and not harness.events("service_lost")


def test_deleted_files_make_nobody_an_heir(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "5GiB")})
    harness.chat("chat")
    pid = harness.consumer("chat")["pid"]
    delete_store(harness)

    second, url = second_daemon(harness)

    assert_first_still_owns(harness, pid, second)
    assert httpx.get(f"{url}/v1/consumers/chat").json()["state"] == "cold"

    # Once the first is dead, the next daemon ends the processes that it left.
    kill_first(harness)
    stop_daemon(second)
    assert is_running(pid)
    harness.start_daemon()
    wait_until(lambda: not is_running(pid), "the process of the dead daemon to end")
    assert harness.chat("chat") == "answer of chat"


def test_what_the_first_has_adopted_is_its_own_too(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "5GiB")})
    harness.chat("chat")
    wait_until_recorded(harness, "chat")
    kill_first(harness)
    harness.start_daemon()
    pid = harness.consumer("chat")["pid"]
    assert harness.state("chat") == "warm"
    delete_store(harness)

    second, _ = second_daemon(harness)

    assert_first_still_owns(harness, pid, second)
    stop_daemon(second)


def test_a_copy_of_the_store_makes_nobody_an_heir(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "5GiB")})
    harness.chat("chat")
    wait_until_recorded(harness, "chat")
    pid = harness.consumer("chat")["pid"]
    copy = harness.folder / "copy.db"
    with sqlite3.connect(harness.state_file) as file:
        file.execute("PRAGMA wal_checkpoint")
    shutil.copy(harness.state_file, copy)
    config = harness.config_file.read_text()
    harness.write_config({"chat": harness.fake_consumer("chat", "5GiB")}, store=str(copy))

    second, _ = second_daemon(harness)

    harness.config_file.write_text(config)
    assert_first_still_owns(harness, pid, second)
    stop_daemon(second)


def test_what_the_second_started_itself_is_found_by_its_heir(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "3GiB"), "voice": harness.fake_consumer("voice", "3GiB")})
    harness.chat("chat")
    chat = harness.consumer("chat")["pid"]
    delete_store(harness)
    second, url = second_daemon(harness)
    assert httpx.post(f"{url}/v1/consumers/voice/load", timeout=20).status_code == 200
    voice = httpx.get(f"{url}/v1/consumers/voice").json()["pid"]
    wait_until_recorded(harness, "voice")

    stop_daemon(second, signal.SIGKILL)
    third, url = second_daemon(harness)

    assert_first_still_owns(harness, chat, third)
    found = httpx.get(f"{url}/v1/consumers/voice").json()
    assert (found["state"], found["pid"]) == ("warm", voice)
    stop_daemon(third)
    assert not is_running(voice)


def assert_store_refused(harness, store):
    config = harness.config_file.read_text()
    harness.write_config({}, store=str(store))
    second = harness.run_mgpu("serve", "--config", harness.config_file)
    harness.config_file.write_text(config)
    assert second.returncode == 2 and "in use by another mgpu" in second.stderr


def test_a_store_under_another_name_is_the_same_store(harness):
    own = harness.folder / "own.db"
    harness.start_with({"chat": harness.fake_consumer("chat")}, store=str(own))

    (harness.folder / "link.db").symlink_to(own)
    assert_store_refused(harness, harness.folder / "link.db")
    (harness.folder / "folder").symlink_to(harness.folder)
    assert_store_refused(harness, harness.folder / "folder" / "own.db")
    os.link(own, harness.folder / "hard.db")
    assert_store_refused(harness, harness.folder / "hard.db")


def test_a_link_to_a_store_that_is_yet_to_be_is_followed(harness):
    real, link = harness.folder / "real.db", harness.folder / "link.db"
    link.symlink_to(real)
    harness.start_with({"chat": harness.fake_consumer("chat")}, store=str(link))
    assert real.exists() and link.is_symlink()
    assert_store_refused(harness, real)
