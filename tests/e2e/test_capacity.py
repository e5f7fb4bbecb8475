"""Capacity and concurrency: who may run side by side."""
from house import background, turns_that_overlap, wait_until


def test_two_turns_run_side_by_side_if_both_fit(house):
    house.open({"chat": house.fake("chat", "4GiB", run_ms=600), "voice": house.fake("voice", "4GiB", run_ms=600)},
               devices=[{"id": "gpu0", "capacity": 2}])
    chat = house.raw_chat("chat")
    house.wait_for_journal("start", "chat")
    house.ask("voice")
    assert chat.status == 200
    assert turns_that_overlap(house.journal()) == {("voice", "chat")}


def test_and_one_after_the_other_if_they_do_not(house):
    house.open({"chat": house.fake("chat", "8GiB", run_ms=200), "voice": house.fake("voice", "8GiB", run_ms=200)},
               devices=[{"id": "gpu0", "capacity": 2}])
    chat = house.raw_chat("chat")
    house.wait_for_journal("start", "chat")
    house.ask("voice")
    assert chat.status == 200
    assert turns_that_overlap(house.journal()) == set()


def test_an_exclusive_consumer_shares_with_nobody(house):
    house.open({"chat": house.fake("chat", "4GiB", run_ms=300), "train": house.fake("train", "4GiB", run_ms=300, exclusive=True)},
               devices=[{"id": "gpu0", "capacity": 2}])
    chat = house.raw_chat("chat")
    house.wait_for_journal("start", "chat")
    house.ask("train")
    assert chat.status == 200
    assert turns_that_overlap(house.journal()) == set()


def test_concurrency_within_one_turn(house):
    house.open({"chat": house.fake("chat", "6GiB", working="256MiB", run_ms=2000, concurrency=3)})
    house.post("/v1/consumers/chat/load")
    answers = [background(house.ask, "chat") for _ in range(4)]
    wait_until(lambda: len(house.line(stage="running")) == 3 and len(house.line(stage="waiting")) == 1,
               "three to run at once while the fourth waits")
    assert [answer.result(30) for answer in answers] == ["answer of chat"] * 4
