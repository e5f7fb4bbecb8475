"""`mgpu run` passes signals on, and whatever happens to it, the turn comes back."""
import os
import signal

from house import exists, wait_until

TRAP = ["sh", "-c", 'trap "echo got it; exit 5" TERM; echo ready $$; while :; do sleep 0.05; done']


def test_a_signal_reaches_the_command(house):
    house.open({"train": {"footprint": "4GiB"}})
    run = house.start("run", "--consumer", "train", "--", *TRAP)
    run.wait_for("ready")
    run.signal(signal.SIGTERM)
    assert run.exit_code() == 5 and "got it" in run.text
    house.wait_until_quiet()


def test_a_command_that_a_signal_ends_gives_128_plus_its_number(house):
    house.open({"train": {"footprint": "4GiB"}})
    assert house.mgpu("run", "--consumer", "train", "--", "sh", "-c", "kill -9 $$").returncode == 137


def test_kill_9_gives_the_turn_back_and_ends_the_command(house):
    house.open({"train": {"footprint": "4GiB"}})
    run = house.start("run", "--consumer", "train", "--", "sh", "-c", "echo child $$; exec sleep 60")
    child = int(run.wait_for(r"child (\d+)")[1])
    assert house.line(stage="running")

    os.kill(run.pid, signal.SIGKILL)

    house.wait_until_quiet()
    wait_until(lambda: not exists(child), "the command to end")
    run.child.wait()


def test_a_signal_while_it_waits_leaves_the_line(house):
    house.open({"train": {"footprint": "4GiB"}})
    house.post("/v1/leases", {"consumer": "train"})
    run = house.start("run", "--consumer", "train", "--", "true")
    run.wait_for("waiting")
    run.signal(signal.SIGINT)
    assert run.exit_code() == -signal.SIGINT
    wait_until(lambda: house.line(stage="waiting") == [], "its place to be free")
