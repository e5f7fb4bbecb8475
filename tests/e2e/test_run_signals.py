"""`mgpu run` forwards signals; however it ends, the turn is given back."""
import os
import signal

from daemon_harness import is_running, wait_until

TRAP = ["sh", "-c", 'trap "echo got it; exit 5" TERM; echo ready $$; while :; do sleep 0.05; done']


def test_a_signal_reaches_the_command(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    run = harness.start_program("run", "--consumer", "train", "--", *TRAP)
    run.wait_for_output("ready")
    run.signal(signal.SIGTERM)
    assert run.exit_code() == 5 and "got it" in run.output
    harness.wait_until_quiet()


def test_a_command_that_a_signal_ends_gives_128_plus_its_number(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    assert harness.run_mgpu("run", "--consumer", "train", "--", "sh", "-c", "kill -9 $$").returncode == 137


def test_kill_9_gives_the_turn_back_and_ends_the_command(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    run = harness.start_program("run", "--consumer", "train", "--", "sh", "-c", "echo child $$; exec sleep 60")
    child = int(run.wait_for_output(r"child (\d+)")[1])
    assert harness.tickets(stage="running")

    os.kill(run.pid, signal.SIGKILL)

    harness.wait_until_quiet()
    wait_until(lambda: not is_running(child), "the command to end")
    run.child.wait()


def test_a_signal_while_it_waits_leaves_the_line(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    harness.post("/v1/leases", {"consumer": "train"})
    run = harness.start_program("run", "--consumer", "train", "--", "true")
    run.wait_for_output("waiting")
    run.signal(signal.SIGINT)
    assert run.exit_code() == -signal.SIGINT
    wait_until(lambda: harness.tickets(stage="waiting") == [], "the ticket to leave the line")
