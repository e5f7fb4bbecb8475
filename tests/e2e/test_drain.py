"""SIGTERM drains: no new work, running work ends, own processes are stopped, exit 0."""
import signal

from house import exists, wait_until


def test_running_work_ends_and_those_who_wait_are_told(house):
    house.open({"chat": house.fake("chat", run_ms=800)})
    running = house.raw_chat("chat")
    house.wait_for_journal("start", "chat")
    waiting = house.raw_chat("chat")
    house.wait_for_ticket(stage="waiting")
    pid = house.consumer("chat")["pid"]

    house.daemon.signal(signal.SIGTERM)

    assert waiting.status == 503 and waiting.json()["error"]["code"] == "shutting_down"
    assert house.http.get("/healthz").status_code == 503
    refused = house.raw_chat("chat")
    assert refused.status == 503 and refused.json()["error"]["code"] == "shutting_down"
    assert running.status == 200
    assert house.daemon.exit_code() == 0
    assert not exists(pid)


def test_work_that_does_not_end_is_ended_at_the_limit(house):
    house.open({"chat": house.fake("chat", run_ms=60000)}, limits={"drain_limit": "300ms"})
    running = house.raw_chat("chat")
    house.wait_for_journal("start", "chat")
    assert house.stop_daemon() == 0
    assert running.status == 503 and running.json()["error"]["code"] == "shutting_down"


def test_a_lease_is_told(house):
    house.open({"train": {"footprint": "4GiB"}}, limits={"drain_limit": "300ms"})
    run = house.start("run", "--consumer", "train", "--", "sh", "-c", "echo up; while [ ! -e end ]; do sleep 0.05; done",
                      cwd=house.folder)
    run.wait_for("up")
    assert house.stop_daemon() == 0
    run.wait_for("the turn ended early")
    (house.folder / "end").touch()  # the command itself goes on to its end
    assert run.exit_code() == 0
