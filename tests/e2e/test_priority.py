"""The priority header of a request decides which waiting request runs first."""
CHAT = "/v1/chat/completions"


def send_chat_as(harness, user, *headers):
    return harness.send_raw("POST", CHAT, {"model": "chat", "messages": [], "user": user}, headers)


def users_in_order(harness):
    return [user for what, _, _, user in harness.service_journal() if what == "start"]


def order_served(harness, *requests):
    """Sends the requests one after the other while another has the turn: their users in the order in which they ran."""
    first = send_chat_as(harness, "first")
    harness.wait_for_ticket(stage="running")
    waiting = []
    for count, (user, *headers) in enumerate(requests, 1):
        waiting.append(send_chat_as(harness, user, *headers))
        harness.wait_for_ticket(count, stage="waiting")
    assert [one.status for one in (first, *waiting)] == [200] * (1 + len(requests))
    return users_in_order(harness)[1:]


def test_the_more_urgent_goes_first_and_the_line_shows_it(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", run_ms=400)}, policy="affinity")
    first = send_chat_as(harness, "first")
    harness.wait_for_ticket(stage="running")
    late = [send_chat_as(harness, "patient", "X-Mgpu-Priority: batch")]
    harness.wait_for_ticket(1, stage="waiting")
    late.append(send_chat_as(harness, "urgent", "X-Mgpu-Priority: interactive"))
    harness.wait_for_ticket(2, stage="waiting")

    assert [ticket["priority"] for ticket in harness.tickets(stage="waiting")] == ["interactive", "batch"]
    shown = harness.run_mgpu("line").stdout
    assert "PRIORITY" in shown and "batch" in shown

    assert [one.status for one in (first, *late)] == [200, 200, 200]
    assert users_in_order(harness) == ["first", "urgent", "patient"]


def test_a_consumer_has_a_class_of_its_own(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", run_ms=300, priority="batch")}, policy="affinity")
    assert order_served(harness, ("plain",), ("normal", "X-Mgpu-Priority: normal")) == ["normal", "plain"]


def test_under_fifo_arrival_alone_counts(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", run_ms=300)}, policy="fifo")
    order = order_served(harness, ("patient", "X-Mgpu-Priority: batch"), ("urgent", "X-Mgpu-Priority: realtime"))
    assert order == ["patient", "urgent"]


def test_an_unknown_class_is_refused(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")})
    refused = send_chat_as(harness, "x", "X-Mgpu-Priority: urgent")
    assert refused.status == 400 and "realtime, interactive, normal, batch" in refused.json()["error"]["message"]
    assert harness.post("/v1/leases", {"consumer": "chat", "priority": "urgent"}).status_code == 400
    assert harness.run_mgpu("run", "-c", "chat", "--priority", "urgent", "--", "true").returncode == 2
