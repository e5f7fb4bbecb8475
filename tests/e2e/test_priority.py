"""How urgent a request is, said in a header, decides who goes first."""
CHAT = "/v1/chat/completions"


def ask(house, user, *headers):
    return house.raw("POST", CHAT, {"model": "chat", "messages": [], "user": user}, headers)


def order_of(house):
    return [user for what, _, _, user in house.journal() if what == "start"]


def in_the_line(house, *askings):
    """Sends them one after the other while somebody has the turn; their users in the order in which they ran."""
    first = ask(house, "first")
    house.wait_for_ticket(stage="running")
    waiting = []
    for count, (user, *headers) in enumerate(askings, 1):
        waiting.append(ask(house, user, *headers))
        house.wait_for_ticket(count, stage="waiting")
    assert [one.status for one in (first, *waiting)] == [200] * (1 + len(askings))
    return order_of(house)[1:]


def test_the_more_urgent_goes_first_and_the_line_shows_it(house):
    house.open({"chat": house.fake("chat", run_ms=400)}, policy="affinity")
    first = ask(house, "first")
    house.wait_for_ticket(stage="running")
    late = [ask(house, "patient", "X-Mgpu-Priority: batch")]
    house.wait_for_ticket(1, stage="waiting")
    late.append(ask(house, "urgent", "X-Mgpu-Priority: interactive"))
    house.wait_for_ticket(2, stage="waiting")

    assert [ticket["priority"] for ticket in house.line(stage="waiting")] == ["interactive", "batch"]
    shown = house.mgpu("line").stdout
    assert "PRIORITY" in shown and "batch" in shown

    assert [one.status for one in (first, *late)] == [200, 200, 200]
    assert order_of(house) == ["first", "urgent", "patient"]


def test_a_consumer_has_a_class_of_its_own(house):
    house.open({"chat": house.fake("chat", run_ms=300, priority="batch")}, policy="affinity")
    assert in_the_line(house, ("plain",), ("normal", "X-Mgpu-Priority: normal")) == ["normal", "plain"]


def test_under_fifo_arrival_alone_counts(house):
    house.open({"chat": house.fake("chat", run_ms=300)}, policy="fifo")
    order = in_the_line(house, ("patient", "X-Mgpu-Priority: batch"), ("urgent", "X-Mgpu-Priority: realtime"))
    assert order == ["patient", "urgent"]


def test_an_unknown_class_is_refused(house):
    house.open({"chat": house.fake("chat")})
    told = ask(house, "x", "X-Mgpu-Priority: urgent")
    assert told.status == 400 and "realtime, interactive, normal, batch" in told.json()["error"]["message"]
    assert house.post("/v1/leases", {"consumer": "chat", "priority": "urgent"}).status_code == 400
    assert house.mgpu("run", "-c", "chat", "--priority", "urgent", "--", "true").returncode == 2
