"""A second daemon neither ends nor adopts what belongs to a first one that lives, whatever became of the store's
files; once the first is dead, the usual recovery goes on."""
import os
import shutil
import signal
import sqlite3

import httpx

from house import exists, wait_until


def delete_store(house):
    for file in house.state_file.parent.glob("mgpu.db*"):
        file.unlink()


def second_daemon(house, config=None):
    """Another daemon beside the first; it and its URL."""
    daemon = house.start("serve", "--config", config or house.config_file)
    return daemon, daemon.wait_for(r"listening on (http://[^\s,]+)")[1]


def end(daemon, number=signal.SIGTERM):
    daemon.signal(number)
    daemon.child.wait(20)


def recorded(house, consumer):
    def settled():
        with sqlite3.connect(house.state_file) as file:
            return file.execute("SELECT count(*) FROM started WHERE settled AND consumer = ?", (consumer,)).fetchone()[0]

    wait_until(settled, f"{consumer} to be recorded as settled")


def kill_first(house):
    end(house.daemon, signal.SIGKILL)
    house.http.close()


def still_the_firsts(house, pid, second):
    second.wait_for(rf"left process {pid} of chat alone: it belongs to another mgpu \(process {house.daemon.pid}\)")
    assert exists(pid) and house.consumer("chat")["pid"] == pid
    assert house.ask("chat") == "answer of chat" and not house.events("service_lost")


def test_deleted_files_make_nobody_an_heir(house):
    house.open({"chat": house.fake("chat", "5GiB")})
    house.ask("chat")
    pid = house.consumer("chat")["pid"]
    delete_store(house)

    second, url = second_daemon(house)

    still_the_firsts(house, pid, second)
    assert httpx.get(f"{url}/v1/consumers/chat").json()["state"] == "cold"

    # When the first is dead, whoever comes next finds what it left.
    kill_first(house)
    end(second)
    assert exists(pid)
    house.start_daemon()
    wait_until(lambda: not exists(pid), "what the dead one left to be ended")
    assert house.ask("chat") == "answer of chat"


def test_what_the_first_has_adopted_is_its_own_too(house):
    house.open({"chat": house.fake("chat", "5GiB")})
    house.ask("chat")
    recorded(house, "chat")
    kill_first(house)
    house.start_daemon()
    pid = house.consumer("chat")["pid"]
    assert house.state("chat") == "warm"
    delete_store(house)

    second, _ = second_daemon(house)

    still_the_firsts(house, pid, second)
    end(second)


def test_a_copy_of_the_store_makes_nobody_an_heir(house):
    house.open({"chat": house.fake("chat", "5GiB")})
    house.ask("chat")
    recorded(house, "chat")
    pid = house.consumer("chat")["pid"]
    copy = house.folder / "copy.db"
    with sqlite3.connect(house.state_file) as file:
        file.execute("PRAGMA wal_checkpoint")
    shutil.copy(house.state_file, copy)
    config = house.config_file.read_text()
    house.write_config({"chat": house.fake("chat", "5GiB")}, store=str(copy))

    second, _ = second_daemon(house)

    house.config_file.write_text(config)
    still_the_firsts(house, pid, second)
    end(second)


def test_what_the_second_started_itself_is_found_by_its_heir(house):
    house.open({"chat": house.fake("chat", "3GiB"), "voice": house.fake("voice", "3GiB")})
    house.ask("chat")
    chat = house.consumer("chat")["pid"]
    delete_store(house)
    second, url = second_daemon(house)
    assert httpx.post(f"{url}/v1/consumers/voice/load", timeout=20).status_code == 200
    voice = httpx.get(f"{url}/v1/consumers/voice").json()["pid"]
    recorded(house, "voice")

    end(second, signal.SIGKILL)
    third, url = second_daemon(house)

    still_the_firsts(house, chat, third)
    found = httpx.get(f"{url}/v1/consumers/voice").json()
    assert (found["state"], found["pid"]) == ("warm", voice)
    end(third)
    assert not exists(voice)


def refused(house, store):
    config = house.config_file.read_text()
    house.write_config({}, store=str(store))
    second = house.mgpu("serve", "--config", house.config_file)
    house.config_file.write_text(config)
    assert second.returncode == 2 and "in use by another mgpu" in second.stderr


def test_a_store_under_another_name_is_the_same_store(house):
    own = house.folder / "own.db"
    house.open({"chat": house.fake("chat")}, store=str(own))

    (house.folder / "link.db").symlink_to(own)
    refused(house, house.folder / "link.db")
    (house.folder / "folder").symlink_to(house.folder)
    refused(house, house.folder / "folder" / "own.db")
    os.link(own, house.folder / "hard.db")
    refused(house, house.folder / "hard.db")


def test_a_link_to_a_store_that_is_yet_to_be_is_followed(house):
    real, link = house.folder / "real.db", house.folder / "link.db"
    link.symlink_to(real)
    house.open({"chat": house.fake("chat")}, store=str(link))
    assert real.exists() and link.is_symlink()
    refused(house, real)
