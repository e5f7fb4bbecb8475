"""Who follows the events costs the others next to nothing, whether or not he reads; there is a limit on how many do."""
import socket
import time

import httpx
import pytest

from house import wait_until


class Subscriber:
    """Follows /v1/events over a socket of its own, with a small buffer; reads only when told to."""

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

    def read_on(self, seconds=0.01):
        """What comes within this time; None: it was closed."""
        self.socket.settimeout(seconds)
        try:
            piece = self.socket.recv(1 << 20)
        except TimeoutError:
            return b""
        except ConnectionResetError:
            return None
        return piece or None


@pytest.fixture
def followers(house):
    opened = []

    def follow(count, query=""):
        made = [Subscriber(house.url, query) for _ in range(count)]
        opened.extend(made)
        return made

    yield follow
    for one in opened:
        one.socket.close()


def refuse(house, count):
    """As many events as that, and more."""
    begin = time.monotonic()
    for _ in range(count):
        assert house.post("/v1/leases", {"bytes": "999GiB"}).status_code == 507
    return (time.monotonic() - begin) / count


def test_one_too_many_is_refused_in_clear_words(house, followers):
    house.open({}, limits={"event_subscribers": 3})
    first = followers(3)
    assert [one.status() for one in first] == [200] * 3
    answer = house.http.get("/v1/events")
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "queue_full"
    assert "limits.event_subscribers" in answer.text and answer.headers["retry-after"]
    first[0].socket.close()
    wait_until(lambda: house.http.get("/v1/events", params={"follow": "false"}).status_code == 200, "the place to be free")


def test_they_cost_next_to_nothing(house, followers):
    house.open({}, limits={"event_subscribers": 300})
    refuse(house, 50)
    alone = min(refuse(house, 100) for _ in range(3))
    reading = followers(300)
    assert [one.status() for one in reading] == [200] * 300  # from now on none of them reads
    with_them = min(refuse(house, 100) for _ in range(3))
    assert with_them < 3 * alone + 0.003, f"{alone * 1000:.2f} ms alone, {with_them * 1000:.2f} ms with 300 that don't read"


def test_who_reads_gets_everything_in_order(house, followers):
    house.open({})
    [one] = followers(1)
    assert one.status() == 200
    refuse(house, 200)
    text = one.text.encode()
    until = time.monotonic() + 20
    while text.count(b"event: refused") < 200 and time.monotonic() < until:
        text += one.read_on() or b""
    ids = [int(line[4:]) for line in text.splitlines() if line.startswith(b"id: ")]
    assert text.count(b"event: refused") == 200
    assert ids == sorted(set(ids))


def test_who_does_not_read_is_sent_away_once_the_journal_has_forgotten_what_he_missed(house, followers):
    house.open({}, limits={"events": 200, "event_subscribers": 1})
    [one] = followers(1)
    assert one.status() == 200
    # Until his pipe is full, and the journal has gone on.
    detail = {"bytes": "999GiB", "who": "x" * 200}

    def gone():
        for _ in range(200):
            house.post("/v1/leases", detail)
        return house.http.get("/v1/events", params={"follow": "false"}).status_code == 200

    wait_until(gone, "his place to be free for somebody else", 60)
    wait_until(lambda: one.read_on() is None, "his connection to end")


def test_a_patient_reader_is_not_sent_away_by_what_is_routine(house, followers):
    """Readings go on all the time, and are not told to whoever did not ask for them."""
    house.open({}, limits={"events": 20, "event_subscribers": 2})
    [one] = followers(1)
    assert one.status() == 200
    first = house.http.get("/v1/events", params={"follow": "false", "all": "true"}).text
    last_id = max(int(line[4:]) for line in first.splitlines() if line.startswith("id: "))

    def many_readings_later():
        text = house.http.get("/v1/events", params={"follow": "false", "all": "true"}).text
        return min(int(line[4:]) for line in text.splitlines() if line.startswith("id: ")) > last_id + 20

    wait_until(many_readings_later, "the journal to forget", 30)
    refuse(house, 1)
    text = b""
    until = time.monotonic() + 10
    while b"event: refused" not in text and time.monotonic() < until:
        text += one.read_on() or b""
    assert b"event: refused" in text and b"dropped" not in text
