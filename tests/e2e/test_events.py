"""GET /v1/events: events in order, and a reader that reconnects misses none."""
import json

import httpx


def read_events(harness, count, **headers):
    """Follows the stream and returns its first `count` events: [(id, name)]."""
    events = []
    with httpx.stream("GET", f"{harness.url}/v1/events", headers=headers, timeout=20) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        event_id = None
        for line in answer.iter_lines():
            if line.startswith("id: "):
                event_id = int(line[4:])
            elif line.startswith("event: "):
                events.append((event_id, line[7:]))
                if len(events) == count:
                    return events


def test_the_story_of_a_request(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")})
    harness.chat("chat")
    harness.wait_until_quiet()
    names = [name for name, _ in harness.events()]
    expected = ["ticket_arrived", "load", "load_ended", "granted", "lease_released"]
    assert [name for name in names if name in expected] == expected
    [(_, arrived)] = harness.events("ticket_arrived")
    assert arrived["consumer"] == "chat" and arrived["ticket"] == 1 and arrived["at"].endswith("Z")


def test_a_reader_that_comes_back_goes_on_where_it_was(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")})
    harness.chat("chat")
    harness.wait_until_quiet()
    before = read_events(harness, 3)
    rest_then = [data["id"] for _, data in harness.events() if data["id"] > before[-1][0]]

    after = read_events(harness, len(rest_then), **{"Last-Event-ID": str(before[-1][0])})

    assert [event_id for event_id, _ in after] == rest_then


def test_a_reader_who_was_away_for_too_long_is_told_of_the_gap(harness):
    harness.start_with({"train": {"footprint": "4GiB"}}, limits={"events": 5})
    for _ in range(5):
        harness.http_client.delete(f"/v1/leases/{harness.post('/v1/leases', {'consumer': 'train'}).json()['id']}")
    text = harness.http_client.get("/v1/events", params={"follow": "false", "after": "1"}).text
    assert text.startswith("event: gap\n") and '"after":1' in text


def test_the_command_prints_them(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    harness.http_client.delete(f"/v1/leases/{harness.post('/v1/leases', {'consumer': 'train'}).json()['id']}")
    events = harness.run_mgpu("events")
    assert events.returncode == 0 and "granted" in events.stdout and "lease_released" in events.stdout
    as_json = [json.loads(line) for line in harness.run_mgpu("events", "--json").stdout.splitlines()]
    assert [event["event"] for event in as_json][-2:] == ["granted", "lease_released"]
    assert as_json[-1]["id"] > as_json[-2]["id"]
