"""A client that goes away while it waits leaves the line at once, and nothing of it remains."""


def test_its_place_is_given_up_and_the_next_one_moves_on(house):
    house.open({"chat": house.fake("chat", run_ms=600)})
    first = house.raw_chat("chat")
    house.wait_for_ticket(consumer="chat", stage="running")
    second = house.raw_chat("chat")
    gone = house.wait_for_ticket(stage="waiting")["ticket"]
    third = house.raw_chat("chat", user="third")
    house.wait_for_ticket(2, stage="waiting")

    second.hang_up()

    house.wait_for_ticket(stage="waiting", place=1)
    [left] = house.line(stage="waiting")
    assert left["ticket"] != gone and house.status()["queue_depth"] == 1
    assert first.status == 200
    assert third.status == 200
    assert len([row for row in house.journal() if row[0] == "start"]) == 2, "the one that left never ran"
    house.wait_until_quiet()
