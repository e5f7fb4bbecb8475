"""`mgpu run`: waits, prints its place, runs the command in its turn, and exits with the command's exit code."""
from daemon_harness import BIN


def test_the_command_runs_in_its_turn_and_its_exit_code_is_ours(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    done = harness.run_mgpu("run", "--consumer", "train", "--", "sh", "-c", "echo ticket=$MGPU_TICKET for $MGPU_CONSUMER; exit 7")
    assert done.returncode == 7
    assert done.stdout == "ticket=1 for train\n"
    harness.wait_until_quiet()
    assert harness.status()["total_jobs"] == 1


def test_room_is_made_for_its_bytes(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "8GiB")})
    harness.chat("chat")
    done = harness.run_mgpu("run", "--bytes", "6GiB", "--", "/bin/sh", "-c", f"'{BIN}/mgpu-simgpu' hold 6GiB -- echo held")
    assert done.returncode == 0 and done.stdout == "held\n"
    assert harness.state("chat") == "cold"


def test_it_says_where_in_the_line_it_stands(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    holder = harness.post("/v1/leases", {"consumer": "train"}).json()
    first = harness.start_program("run", "--consumer", "train", "--", "true")
    first.wait_for_output("waiting, next in line .*train is running")
    second = harness.start_program("run", "--consumer", "train", "--", "true")
    second.wait_for_output("waiting, 2nd in line")
    harness.http_client.delete(f"/v1/leases/{holder['id']}")
    assert first.exit_code() == 0 and second.exit_code() == 0
    assert "waiting, next in line" in second.output


def test_the_wait_limit(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    harness.post("/v1/leases", {"consumer": "train"})
    late = harness.run_mgpu("run", "--consumer", "train", "--wait-limit", "200ms", "--", "true")
    assert late.returncode == 124 and "wait_limit" in late.stderr
    assert harness.tickets(stage="waiting") == []


def test_refusals_have_exit_codes_that_mean_something(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    assert harness.run_mgpu("run", "--consumer", "trian", "--", "true").returncode == 125
    assert harness.run_mgpu("run", "--bytes", "99GiB", "--", "true").returncode == 125
    assert harness.run_mgpu("run", "--consumer", "train", "--", "no-such-command").returncode == 127
    assert harness.run_mgpu("run", "--", "true").returncode == 2
    assert harness.run_mgpu("run", "--url", "http://127.0.0.1:1", "--consumer", "train", "--", "true").returncode == 3
