"""Why a ticket waited: behind whose turn, for whose memory, for which load."""


def two_that_do_not_fit(house, **top):
    house.open({"chat": house.fake("chat", "8GiB", run_ms=300), "image": house.fake("image", "8GiB", load_ms=300)}, **top)
    running = house.raw_chat("chat")
    house.wait_for_ticket(consumer="chat", stage="running")
    waiting = house.raw_chat("image")
    assert running.status == 200 and waiting.status == 200
    house.wait_until_quiet()
    return int(running.answer.headers["X-Mgpu-Ticket"]), int(waiting.answer.headers["X-Mgpu-Ticket"])


def test_a_wait_behind_a_turn_an_eviction_and_a_load(house):
    first, second = two_that_do_not_fit(house)
    told = house.get(f"/v1/tickets/{second}/explanation")

    causes = [segment["cause"] for segment in told["segments"]]
    assert causes[0] == "turn" and told["segments"][0]["behind"] == first
    assert "eviction" in causes and causes[-1] == "load"
    assert abs(sum(segment["ms"] for segment in told["segments"]) - told["waited_ms"]) < 1
    for one, next_one in zip(told["segments"], told["segments"][1:]):
        assert one["until"] == next_one["from"]

    [plan] = told["plans"]
    assert [(one["consumer"], one["chosen"]) for one in plan["considered"]] == [("chat", True)]
    [eviction] = told["evictions"]
    assert eviction["consumer"] == "chat" and eviction["freed_bytes"] >= 8 << 30
    [load] = told["loads"]
    assert load["consumer"] == "image" and load["ms"] >= 300

    said = house.mgpu("explain", second)
    assert said.returncode == 0
    assert said.stdout.splitlines() == told["sentences"]
    assert f"behind ticket {first} (chat), which had the turn" in said.stdout
    assert "Image was loaded in" in said.stdout


def test_one_that_waits_still_is_explained_until_now(house):
    house.open({"train": {"footprint": "4GiB"}})
    holder = house.post("/v1/leases", {"consumer": "train"}).json()["ticket"]
    waiting = house.start("run", "--consumer", "train", "--", "true")
    ticket = house.wait_for_ticket(stage="waiting")["ticket"]
    said = house.mgpu("explain", ticket).stdout
    assert f"behind ticket {holder} (train)" in said and said.endswith("It waits still.\n")
    house.http.delete(f"/v1/leases/{holder}")
    assert waiting.exit_code() == 0


def test_what_the_journal_no_longer_knows_is_not_made_up(house):
    _, second = two_that_do_not_fit(house, limits={"events": 5})
    for _ in range(3):
        house.ask("image")
    assert house.http.get(f"/v1/tickets/{second}/explanation").status_code == 404
    lost = house.mgpu("explain", 999)
    assert lost.returncode == 1 and "nothing is known of ticket 999" in lost.stderr


def test_it_needs_a_ticket_or_a_consumer(house):
    assert house.mgpu("explain").returncode == 2
    assert house.mgpu("explain", "7", "--next", "chat").returncode == 2
