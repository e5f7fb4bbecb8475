"""A process that a service leaves behind in its own session becomes the daemon's child and is reaped."""
import os
import pathlib
import signal

from daemon_harness import is_running, wait_until


def child_pids(pid):
    """The states of its children by pid, zombies included."""
    states = {}
    for entry in pathlib.Path("/proc").iterdir():
        try:
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
        except (OSError, ValueError):
            continue
        if entry.name.isdigit() and int(parent) == pid:
            states[int(entry.name)] = state
    return states


def test_an_orphan_of_another_session_leaves_no_zombie(harness):
    chat = harness.fake_consumer("chat", "5GiB")
    command = chat["runner"]["process"]["command"]
    orphan = "(setsid sh -c 'echo orphan $$; exec sleep 300' &); exec \"$@\""
    chat["runner"]["process"]["command"] = ["sh", "-c", orphan, "sh", *command]
    harness.start_with({"chat": chat})
    harness.chat("chat")
    pid = int(next(line for line in harness.consumer("chat")["log"] if "orphan" in line).split()[1])
    wait_until(lambda: pid in child_pids(harness.daemon.pid), "the orphan to become the daemon's child")

    os.kill(pid, signal.SIGKILL)

    wait_until(lambda: pid not in child_pids(harness.daemon.pid), "the orphan to be reaped")
    assert "Z" not in child_pids(harness.daemon.pid).values()
    assert harness.chat("chat") == "answer of chat" and is_running(harness.consumer("chat")["pid"])


def test_a_log_file_that_nobody_reads_holds_nobody_up(harness):
    os.mkfifo(harness.folder / "pipe")
    chat = harness.fake_consumer("chat", "5GiB", load_ms=200)
    process = chat["runner"]["process"]
    process["log_file"] = str(harness.folder / "pipe")
    process["command"] = ["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; echo; exec \"$@\"", "sh", *process["command"]]
    harness.start_with({"chat": chat})

    assert harness.chat("chat") == "answer of chat"

    assert harness.run_mgpu("status", seconds=5).returncode == 0
    assert any("the log file takes no more" in line for line in harness.consumer("chat")["log"])
