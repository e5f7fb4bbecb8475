"""What a service leaves behind in a session of its own is the daemon's child: when it ends, it is reaped."""
import os
import pathlib
import signal

from house import exists, wait_until


def children(pid):
    """Its children, zombies too: pid -> state."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        try:
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
        except (OSError, ValueError):
            continue
        if entry.name.isdigit() and int(parent) == pid:
            found[int(entry.name)] = state
    return found


def test_an_orphan_of_another_session_leaves_no_zombie(house):
    chat = house.fake("chat", "5GiB")
    command = chat["runner"]["process"]["command"]
    orphan = "(setsid sh -c 'echo orphan $$; exec sleep 300' &); exec \"$@\""
    chat["runner"]["process"]["command"] = ["sh", "-c", orphan, "sh", *command]
    house.open({"chat": chat})
    house.ask("chat")
    pid = int(next(line for line in house.consumer("chat")["log"] if "orphan" in line).split()[1])
    wait_until(lambda: pid in children(house.daemon.pid), "the orphan to be the daemon's")

    os.kill(pid, signal.SIGKILL)

    wait_until(lambda: pid not in children(house.daemon.pid), "the orphan to be reaped")
    assert "Z" not in children(house.daemon.pid).values()
    assert house.ask("chat") == "answer of chat" and exists(house.consumer("chat")["pid"])


def test_a_log_file_that_nobody_reads_holds_nobody_up(house):
    os.mkfifo(house.folder / "pipe")
    chat = house.fake("chat", "5GiB", load_ms=200)
    process = chat["runner"]["process"]
    process["log_file"] = str(house.folder / "pipe")
    process["command"] = ["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; echo; exec \"$@\"", "sh", *process["command"]]
    house.open({"chat": chat})

    assert house.ask("chat") == "answer of chat"

    assert house.mgpu("status", seconds=5).returncode == 0
    assert any("the log file takes no more" in line for line in house.consumer("chat")["log"])
