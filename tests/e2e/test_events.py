"""GET /v1/events: what happened, in order, and a reader that comes back misses nothing."""
import json

import httpx


def read(house, count, **headers):
    """The first `count` events of a stream that is followed: [(id, name)]."""
    told = []
    with httpx.stream("GET", f"{house.url}/v1/events", headers=headers, timeout=20) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        number = None
        for line in answer.iter_lines():
            if line.startswith("id: "):
                number = int(line[4:])
            elif line.startswith("event: "):
                told.append((number, line[7:]))
                if len(told) == count:
                    return told


def test_the_story_of_a_request(house):
    house.open({"chat": house.fake("chat")})
    house.ask("chat")
    house.wait_until_quiet()
    names = [name for name, _ in house.events()]
    story = ["ticket_arrived", "load", "load_ended", "granted", "lease_released"]
    assert [name for name in names if name in story] == story
    [(_, arrived)] = house.events("ticket_arrived")
    assert arrived["consumer"] == "chat" and arrived["ticket"] == 1 and arrived["at"].endswith("Z")


def test_a_reader_that_comes_back_goes_on_where_it_was(house):
    house.open({"chat": house.fake("chat")})
    house.ask("chat")
    house.wait_until_quiet()
    before = read(house, 3)
    rest_then = [data["id"] for _, data in house.events() if data["id"] > before[-1][0]]

    after = read(house, len(rest_then), **{"Last-Event-ID": str(before[-1][0])})

    assert [number for number, _ in after] == rest_then


def test_a_reader_who_was_away_for_too_long_is_told_of_the_gap(house):
    house.open({"train": {"footprint": "4GiB"}}, limits={"events": 5})
    for _ in range(5):
        house.http.delete(f"/v1/leases/{house.post('/v1/leases', {'consumer': 'train'}).json()['id']}")
    text = house.http.get("/v1/events", params={"follow": "false", "after": "1"}).text
    assert text.startswith("event: gap\n") and '"after":1' in text


def test_the_command_prints_them(house):
    house.open({"train": {"footprint": "4GiB"}})
    house.http.delete(f"/v1/leases/{house.post('/v1/leases', {'consumer': 'train'}).json()['id']}")
    told = house.mgpu("events")
    assert told.returncode == 0 and "granted" in told.stdout and "lease_released" in told.stdout
    as_json = [json.loads(line) for line in house.mgpu("events", "--json").stdout.splitlines()]
    assert [event["event"] for event in as_json][-2:] == ["granted", "lease_released"]
    assert as_json[-1]["id"] > as_json[-2]["id"]
