"""SIGTERM drains: no new work, running work finishes, the daemon stops its own processes and exits with 0."""
import signal

from daemon_harness import is_running


def test_running_work_ends_and_those_who_wait_are_told(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", run_ms=800)})
    running = harness.send_raw_chat("chat")
    harness.wait_for_service_journal("start", "chat")
    waiting = harness.send_raw_chat("chat")
    harness.wait_for_ticket(stage="waiting")
    pid = harness.consumer("chat")["pid"]

    harness.daemon.signal(signal.SIGTERM)

    assert waiting.status == 503 and waiting.json()["error"]["code"] == "shutting_down"
    assert harness.http_client.get("/healthz").status_code == 503
    refused = harness.send_raw_chat("chat")
    assert refused.status == 503 and refused.json()["error"]["code"] == "shutting_down"
    assert running.status == 200
    assert harness.daemon.exit_code() == 0
    assert not is_running(pid)


def test_work_that_does_not_end_is_ended_at_the_limit(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", run_ms=60000)}, limits={"drain_limit": "300ms"})
    running = harness.send_raw_chat("chat")
    harness.wait_for_service_journal("start", "chat")
    assert harness.stop_daemon() == 0
    assert running.status == 503 and running.json()["error"]["code"] == "shutting_down"


def test_a_lease_is_told(harness):
    harness.start_with({"train": {"footprint": "4GiB"}}, limits={"drain_limit": "300ms"})
    run = harness.start_program("run", "--consumer", "train", "--", "sh", "-c",
                                "echo up; while [ ! -e end ]; do sleep 0.05; done", cwd=harness.folder)
    run.wait_for_output("up")
    assert harness.stop_daemon() == 0
    run.wait_for_output("the turn ended early")
    (harness.folder / "end").touch()  # the command is not interrupted
    assert run.exit_code() == 0
