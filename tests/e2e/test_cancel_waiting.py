"""A client that disconnects while it waits leaves the line at once."""


def test_its_place_is_given_up_and_the_next_one_moves_on(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", run_ms=600)})
    first = harness.send_raw_chat("chat")
    harness.wait_for_ticket(consumer="chat", stage="running")
    second = harness.send_raw_chat("chat")
    cancelled = harness.wait_for_ticket(stage="waiting")["ticket"]
    third = harness.send_raw_chat("chat", user="third")
    harness.wait_for_ticket(2, stage="waiting")

    second.close()

    harness.wait_for_ticket(stage="waiting", place=1)
    [remaining] = harness.tickets(stage="waiting")
    assert remaining["ticket"] != cancelled and harness.status()["queue_depth"] == 1
    assert first.status == 200
    assert third.status == 200
    assert len([row for row in harness.service_journal() if row[0] == "start"]) == 2, "the cancelled request must not run"
    harness.wait_until_quiet()
