"""`mgpu run`: waits, says where it stands, runs the command in its turn, and ends as the command ends."""
from house import BIN


def test_the_command_runs_in_its_turn_and_its_exit_code_is_ours(house):
    house.open({"train": {"footprint": "4GiB"}})
    done = house.mgpu("run", "--consumer", "train", "--", "sh", "-c", "echo ticket=$MGPU_TICKET for $MGPU_CONSUMER; exit 7")
    assert done.returncode == 7
    assert done.stdout == "ticket=1 for train\n"
    house.wait_until_quiet()
    assert house.status()["total_jobs"] == 1


def test_room_is_made_for_its_bytes(house):
    house.open({"chat": house.fake("chat", "8GiB")})
    house.ask("chat")
    done = house.mgpu("run", "--bytes", "6GiB", "--", "/bin/sh", "-c", f"'{BIN}/mgpu-simgpu' hold 6GiB -- echo held")
    assert done.returncode == 0 and done.stdout == "held\n"
    assert house.state("chat") == "cold"


def test_it_says_where_in_the_line_it_stands(house):
    house.open({"train": {"footprint": "4GiB"}})
    holder = house.post("/v1/leases", {"consumer": "train"}).json()
    first = house.start("run", "--consumer", "train", "--", "true")
    first.wait_for("waiting, next in line .*train is running")
    second = house.start("run", "--consumer", "train", "--", "true")
    second.wait_for("waiting, 2nd in line")
    house.http.delete(f"/v1/leases/{holder['id']}")
    assert first.exit_code() == 0 and second.exit_code() == 0
    assert "waiting, next in line" in second.text


def test_the_wait_limit(house):
    house.open({"train": {"footprint": "4GiB"}})
    house.post("/v1/leases", {"consumer": "train"})
    late = house.mgpu("run", "--consumer", "train", "--wait-limit", "200ms", "--", "true")
    assert late.returncode == 124 and "wait_limit" in late.stderr
    assert house.line(stage="waiting") == []


def test_refusals_have_exit_codes_that_mean_something(house):
    house.open({"train": {"footprint": "4GiB"}})
    assert house.mgpu("run", "--consumer", "trian", "--", "true").returncode == 125
    assert house.mgpu("run", "--bytes", "99GiB", "--", "true").returncode == 125
    assert house.mgpu("run", "--consumer", "train", "--", "no-such-command").returncode == 127
    assert house.mgpu("run", "--", "true").returncode == 2
    assert house.mgpu("run", "--url", "http://127.0.0.1:1", "--consumer", "train", "--", "true").returncode == 3
