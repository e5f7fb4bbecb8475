"""Subscribers of /v1/events cost other requests next to nothing, whether they read or not; their number is limited."""
import socket
import time

import httpx
import pytest

from daemon_harness import wait_until


class Subscriber:
    """Follows /v1/events on a socket with a small receive buffer; reads only in read_more()."""

    def __init__(self, url, query=""):
        address = httpx.URL(url)
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect((address.host, address.port))
        self.socket.sendall(f"GET /v1/events{query} HTTP/1.1\r\nHost: mgpu\r\n\r\n".encode())

    def status(self):
        self.socket.settimeout(20)
        self.text = self.socket.recv(4096).decode()
        return int(self.text.split()[1])

    def read_more(self, seconds=0.01):
        """The bytes that arrive within this time; None if the connection was closed."""
        self.socket.settimeout(seconds)
        try:
            piece = self.socket.recv(1 << 20)
        except TimeoutError:
            return b""
        except ConnectionResetError:
            return None
        return piece or None


@pytest.fixture
def open_subscribers(harness):
    """open_subscribers(count, query) opens so many subscribers; they are closed after the test."""
    opened = []

    def open_some(count, query=""):
        created = [Subscriber(harness.url, query) for _ in range(count)]
        opened.extend(created)
        return created

    yield open_some
    for subscriber in opened:
        subscriber.socket.close()


def cause_refusals(harness, count):
    """Causes at least `count` events; returns the seconds per refused request."""
    begin = time.monotonic()
    for _ in range(count):
        assert harness.post("/v1/leases", {"bytes": "999GiB"}).status_code == 507
    return (time.monotonic() - begin) / count


def test_one_too_many_is_refused_in_clear_words(harness, open_subscribers):
    harness.start_with({}, limits={"event_subscribers": 3})
    first = open_subscribers(3)
    assert [subscriber.status() for subscriber in first] == [200] * 3
    answer = harness.http_client.get("/v1/events")
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "queue_full"
    assert "limits.event_subscribers" in answer.text and answer.headers["retry-after"]
    first[0].socket.close()
    wait_until(lambda: harness.http_client.get("/v1/events", params={"follow": "false"}).status_code == 200,
               "a subscriber's place to be free")


def test_they_cost_next_to_nothing(harness, open_subscribers):
    harness.start_with({}, limits={"event_subscribers": 300})
    cause_refusals(harness, 50)
    without_subscribers = min(cause_refusals(harness, 100) for _ in range(3))
    subscribers = open_subscribers(300)
    assert [subscriber.status() for subscriber in subscribers] == [200] * 300  # none of them reads from here on
    with_subscribers = min(cause_refusals(harness, 100) for _ in range(3))
    assert with_subscribers < 3 * without_subscribers + 0.003, \
        f"{without_subscribers * 1000:.2f} ms without subscribers, {with_subscribers * 1000:.2f} ms with 300 that do not read"


def test_who_reads_gets_everything_in_order(harness, open_subscribers):
    harness.start_with({})
    [subscriber] = open_subscribers(1)
    assert subscriber.status() == 200
    cause_refusals(harness, 200)
    text = subscriber.text.encode()
    until = time.monotonic() + 20
    while text.count(b"event: refused") < 200 and time.monotonic() < until:
        text += subscriber.read_more() or b""
    ids = [int(line[4:]) for line in text.splitlines() if line.startswith(b"id: ")]
    assert text.count(b"event: refused") == 200
    assert ids == sorted(set(ids))


def test_who_does_not_read_is_sent_away_once_the_journal_has_forgotten_what_he_missed(harness, open_subscribers):
    harness.start_with({}, limits={"events": 200, "event_subscribers": 1})
    [subscriber] = open_subscribers(1)
    assert subscriber.status() == 200
    # Its socket buffer fills, and the journal drops events that it has not been sent.
    detail = {"bytes": "999GiB", "who": "x" * 200}

    def is_subscriber_dropped():
        for _ in range(200):
            harness.post("/v1/leases", detail)
        return harness.http_client.get("/v1/events", params={"follow": "false"}).status_code == 200

    wait_until(is_subscriber_dropped, "the subscriber's place to be free", 60)
    wait_until(lambda: subscriber.read_more() is None, "the connection to be closed")


def test_a_patient_reader_is_not_sent_away_by_what_is_routine(harness, open_subscribers):
    """Routine events such as readings are sent only to subscribers that ask for all."""
    harness.start_with({}, limits={"events": 20, "event_subscribers": 2})
    [subscriber] = open_subscribers(1)
    assert subscriber.status() == 200
    first = harness.http_client.get("/v1/events", params={"follow": "false", "all": "true"}).text
    last_id = max(int(line[4:]) for line in first.splitlines() if line.startswith("id: "))

    def many_readings_later():
        text = harness.http_client.get("/v1/events", params={"follow": "false", "all": "true"}).text
        return min(int(line[4:]) for line in text.splitlines() if line.startswith("id: ")) > last_id + 20

    wait_until(many_readings_later, "the journal to drop the older events", 30)
    cause_refusals(harness, 1)
    text = b""
    until = time.monotonic() + 10
    while b"event: refused" not in text and time.monotonic() < until:
        text += subscriber.read_more() or b""
    assert b"event: refused" in text and b"dropped" not in text
