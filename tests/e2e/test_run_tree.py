"""However `mgpu run` is ended, the whole tree of its command ends with it, and its memory: no part of it computes
in a turn that somebody else has."""
import os
import re
import signal

import pytest

from house import BIN, exists, wait_until

HOLD = f"{BIN}/mgpu-simgpu hold 1GiB -- sleep 300"


def run_tree(house, script, **more):
    """`mgpu run` of a shell script that says "pid N" for each of its processes: the run, and the pids once 2 are there."""
    house.open({"train": {"footprint": "4GiB"}})
    run = house.start("run", "--consumer", "train", "--", "sh", "-c", script, **more)
    wait_until(lambda: len(re.findall(r"pid (\d+)\n", run.text)) == 2 and house.gpus()[0]["used"], "both to run")
    return run, [int(pid) for pid in re.findall(r"pid (\d+)\n", run.text)]


def all_is_over(house, pids):
    wait_until(lambda: not any(map(exists, pids)), f"{pids} to end")
    assert house.gpus()[0]["used"] == 0
    house.wait_until_quiet()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_background_jobs_end_with_it(house, number):
    run, pids = run_tree(house, f"sh -c 'echo pid $$; exec {HOLD}' & sh -c 'echo pid $$; exec sleep 300'")
    os.kill(run.pid, number)
    run.child.wait(20)
    all_is_over(house, pids)


def test_ctrl_c_ends_the_background_job_that_ignores_it(house):
    # A shell's background jobs ignore SIGINT.
    run, pids = run_tree(house, f"sh -c 'echo pid $$; exec {HOLD}' & sh -c 'echo pid $$; exec sleep 300'", start_new_session=True)
    os.killpg(run.pid, signal.SIGINT)
    assert run.exit_code() == 128 + signal.SIGINT
    all_is_over(house, pids)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_made_a_session_of_its_own_ends_with_it(house, number):
    run, pids = run_tree(house, f"setsid sh -c 'echo pid $$; exec {HOLD}' & sh -c 'echo pid $$; exec sleep 300'")
    os.kill(run.pid, number)
    run.child.wait(20)
    all_is_over(house, pids)


def test_a_kill_of_the_whole_process_group_leaves_nothing(house):
    house.open({"train": {"footprint": "4GiB"}})
    script = f"setsid sh -c 'echo pid $$; exec {HOLD}' & sleep 300"
    run = house.start("run", "--consumer", "train", "--", "sh", "-c", script, start_new_session=True)
    pid = int(run.wait_for(r"pid (\d+)")[1])
    wait_until(lambda: house.gpus()[0]["used"], "its memory")
    os.killpg(run.pid, signal.SIGKILL)
    run.child.wait(20)
    all_is_over(house, [pid])


def test_the_turn_is_kept_until_the_tree_has_ended(house):
    reluctant = "trap 'touch asked' TERM; echo pid $$; until [ -e go ]; do sleep 0.05; done"
    house.open({"train": {"footprint": "4GiB"}})
    run = house.start("run", "--consumer", "train", "--", "bash", "-c", reluctant, cwd=house.folder)
    pid = int(run.wait_for(r"pid (\d+)")[1])

    os.kill(run.pid, signal.SIGKILL)
    run.child.wait(20)

    wait_until(lambda: (house.folder / "asked").exists(), "the command to be asked to end")
    assert exists(pid) and house.line(stage="running"), "it saves what it has, in its turn"
    (house.folder / "go").touch()
    all_is_over(house, [pid])


def test_what_does_not_end_when_asked_is_killed(house):
    house.open({"train": {"footprint": "4GiB"}})
    run = house.start("run", "--consumer", "train", "--", "sh", "-c", f"trap '' TERM; echo pid $$; exec {HOLD}")
    pid = int(run.wait_for(r"pid (\d+)")[1])
    os.kill(run.pid, signal.SIGKILL)
    run.child.wait(20)
    all_is_over(house, [pid])


def test_if_its_supervisor_is_killed_the_tree_ends_too(house):
    run, pids = run_tree(house, f"setsid sh -c 'echo pid $$; exec {HOLD}' & sh -c 'echo pid $$; exec sleep 300'")
    parent = lambda pid: int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
    supervisor = parent(parent(pids[1]))
    assert parent(supervisor) == run.pid
    os.kill(supervisor, signal.SIGKILL)
    assert run.exit_code() == 128 + signal.SIGKILL
    all_is_over(house, pids)


def test_what_a_command_leaves_in_the_background_on_purpose_stays(house):
    house.open({"train": {"footprint": "4GiB"}})
    run = house.start("run", "--consumer", "train", "--", "sh", "-c", "setsid sleep 300 >/dev/null 2>&1 & echo pid $!; exit 3")
    assert run.exit_code() == 3
    pid = int(re.search(r"pid (\d+)", run.text)[1])
    house.wait_until_quiet()
    assert exists(pid)
    os.kill(pid, signal.SIGKILL)
