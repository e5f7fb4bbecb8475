"""However `mgpu run` ends, the whole process tree of its command ends too: nothing may compute in the turn of another
lease."""
import os
import re
import signal

import pytest

from daemon_harness import BIN, is_running, wait_until

HOLD = f"{BIN}/mgpu-simgpu hold 1GiB -- sleep 300"


def run_tree(harness, script, **more):
    """Runs a shell script that prints "pid N" for each of its two processes: (`mgpu run`, their pids), once both run."""
    harness.start_with({"train": {"footprint": "4GiB"}})
    run = harness.start_program("run", "--consumer", "train", "--", "sh", "-c", script, **more)
    wait_until(lambda: len(re.findall(r"pid (\d+)\n", run.output)) == 2 and harness.gpu_states()[0]["used"],
               "both processes to run")
    return run, [int(pid) for pid in re.findall(r"pid (\d+)\n", run.output)]


def assert_tree_ended(harness, pids):
    wait_until(lambda: not any(map(is_running, pids)), f"{pids} to end")
    assert harness.gpu_states()[0]["used"] == 0
    harness.wait_until_quiet()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_background_jobs_end_with_it(harness, number):
    run, pids = run_tree(harness, f"sh -c 'echo pid $$; exec {HOLD}' & sh -c 'echo pid $$; exec sleep 300'")
    os.kill(run.pid, number)
    run.child.wait(20)
    assert_tree_ended(harness, pids)


def test_ctrl_c_ends_the_background_job_that_ignores_it(harness):
    # A shell starts its background jobs with SIGINT ignored.
    run, pids = run_tree(harness, f"sh -c 'echo pid $$; exec {HOLD}' & sh -c 'echo pid $$; exec sleep 300'",
                         start_new_session=True)
    os.killpg(run.pid, signal.SIGINT)
    assert run.exit_code() == 128 + signal.SIGINT
    assert_tree_ended(harness, pids)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_made_a_session_of_its_own_ends_with_it(harness, number):
    run, pids = run_tree(harness, f"setsid sh -c 'echo pid $$; exec {HOLD}' & sh -c 'echo pid $$; exec sleep 300'")
    os.kill(run.pid, number)
    run.child.wait(20)
    assert_tree_ended(harness, pids)


def test_a_kill_of_the_whole_process_group_leaves_nothing(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    script = f"setsid sh -c 'echo pid $$; exec {HOLD}' & sleep 300"
    run = harness.start_program("run", "--consumer", "train", "--", "sh", "-c", script, start_new_session=True)
    pid = int(run.wait_for_output(r"pid (\d+)")[1])
    wait_until(lambda: harness.gpu_states()[0]["used"], "its memory to be allocated")
    os.killpg(run.pid, signal.SIGKILL)
    run.child.wait(20)
    assert_tree_ended(harness, [pid])


def test_the_turn_is_kept_until_the_tree_has_ended(harness):
    reluctant = "trap 'touch asked' TERM; echo pid $$; until [ -e go ]; do sleep 0.05; done"
    harness.start_with({"train": {"footprint": "4GiB"}})
    run = harness.start_program("run", "--consumer", "train", "--", "bash", "-c", reluctant, cwd=harness.folder)
    pid = int(run.wait_for_output(r"pid (\d+)")[1])

    os.kill(run.pid, signal.SIGKILL)
    run.child.wait(20)

    wait_until(lambda: (harness.folder / "asked").exists(), "SIGTERM to reach the command")
    assert is_running(pid) and harness.tickets(stage="running"), "the turn must be held until the command has ended"
    (harness.folder / "go").touch()
    assert_tree_ended(harness, [pid])


def test_what_does_not_end_when_asked_is_killed(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    run = harness.start_program("run", "--consumer", "train", "--", "sh", "-c", f"trap '' TERM; echo pid $$; exec {HOLD}")
    pid = int(run.wait_for_output(r"pid (\d+)")[1])
    os.kill(run.pid, signal.SIGKILL)
    run.child.wait(20)
    assert_tree_ended(harness, [pid])


def test_if_its_supervisor_is_killed_the_tree_ends_too(harness):
    run, pids = run_tree(harness, f"setsid sh -c 'echo pid $$; exec {HOLD}' & sh -c 'echo pid $$; exec sleep 300'")
    parent = lambda pid: int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
    supervisor = parent(parent(pids[1]))
    assert parent(supervisor) == run.pid
    os.kill(supervisor, signal.SIGKILL)
    assert run.exit_code() == 128 + signal.SIGKILL
    assert_tree_ended(harness, pids)


def test_what_a_command_leaves_in_the_background_on_purpose_stays(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    run = harness.start_program("run", "--consumer", "train", "--", "sh", "-c",
                                "setsid sleep 300 >/dev/null 2>&1 & echo pid $!; exit 3")
    assert run.exit_code() == 3
    pid = int(re.search(r"pid (\d+)", run.output)[1])
    harness.wait_until_quiet()
    assert is_running(pid)
    os.kill(pid, signal.SIGKILL)


def test_the_lease_lasts_until_the_memory_of_the_whole_tree_is_gone(harness):
    harness.start_with({"train": {"footprint": "4GiB"}, "chat": harness.fake_consumer("chat", "4GiB")})
    run = harness.start_program("run", "--consumer", "train", "--", "sh", "-c",
                                f"setsid sh -c 'echo pid $$; exec {HOLD}' & sleep 0.5; exit 0")
    assert run.exit_code() == 0
    pid = int(re.search(r"pid (\d+)", run.output)[1])
    assert harness.tickets(consumer="train", stage="running"), "what it left behind still holds memory"
    memory = harness.status()["devices"][0]["memory"]
    assert (memory["foreign_bytes"], memory["measured_bytes"]) == (0, 1 << 30)
    waiting = harness.send_raw_chat("chat")
    harness.wait_for_ticket(consumer="chat", stage="waiting")
    os.killpg(pid, signal.SIGKILL)
    assert waiting.status == 200
    harness.wait_until_quiet()
