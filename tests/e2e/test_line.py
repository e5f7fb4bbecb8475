"""The line, and an operator who cancels a ticket in it."""


def test_delete_takes_a_waiting_ticket_out_and_its_client_is_told(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", run_ms=600)})
    running = harness.send_raw_chat("chat")
    harness.wait_for_ticket(stage="running")
    waiting = harness.send_raw_chat("chat")
    ticket = harness.wait_for_ticket(stage="waiting")["ticket"]

    assert harness.http_client.delete(f"/v1/line/{ticket}").json() == {"ticket": ticket, "cancelled": True}

    assert waiting.json()["error"]["code"] == "cancelled" and waiting.status == 499
    assert running.status == 200
    assert harness.http_client.delete(f"/v1/line/{ticket}").status_code == 404


def test_delete_ends_one_that_runs(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", run_ms=20000)})
    running = harness.send_raw_chat("chat")
    harness.wait_for_service_journal("start", "chat")
    [ticket] = harness.tickets()
    assert harness.run_mgpu("line", "cancel", ticket["ticket"]).returncode == 0
    harness.wait_for_service_journal("cut", "chat")
    assert running.json()["error"]["code"] == "cancelled"
    harness.wait_until_quiet()


def test_the_command_shows_who_waits(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    assert "no ticket waits or runs" in harness.run_mgpu("line").stdout
    harness.post("/v1/leases", {"consumer": "train", "who": "the night job"})
    shown = harness.run_mgpu("line")
    assert "the night job" in shown.stdout and "running" in shown.stdout
