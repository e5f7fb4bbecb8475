"""The line, and an operator who takes a ticket out of it."""


def test_delete_takes_a_waiting_ticket_out_and_its_client_is_told(house):
    house.open({"chat": house.fake("chat", run_ms=600)})
    running = house.raw_chat("chat")
    house.wait_for_ticket(stage="running")
    waiting = house.raw_chat("chat")
    ticket = house.wait_for_ticket(stage="waiting")["ticket"]

    assert house.http.delete(f"/v1/line/{ticket}").json() == {"ticket": ticket, "cancelled": True}

    assert waiting.json()["error"]["code"] == "cancelled" and waiting.status == 499
    assert running.status == 200
    assert house.http.delete(f"/v1/line/{ticket}").status_code == 404


def test_delete_ends_one_that_runs(house):
    house.open({"chat": house.fake("chat", run_ms=20000)})
    running = house.raw_chat("chat")
    house.wait_for_journal("start", "chat")
    [ticket] = house.line()
    assert house.mgpu("line", "cancel", ticket["ticket"]).returncode == 0
    house.wait_for_journal("cut", "chat")
    assert running.json()["error"]["code"] == "cancelled"
    house.wait_until_quiet()


def test_the_command_shows_who_waits(house):
    house.open({"train": {"footprint": "4GiB"}})
    assert "nobody" in house.mgpu("line").stdout
    house.post("/v1/leases", {"consumer": "train", "who": "the night job"})
    shown = house.mgpu("line")
    assert "the night job" in shown.stdout and "running" in shown.stdout
