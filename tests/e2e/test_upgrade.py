"""WebSockets pass through, holding the turn for as long as they live."""
import sys

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from house import TREE


def open_house(house):
    command = [sys.executable, str(TREE / "tests/e2e/ws_service.py"), "${PORT}"]
    return house.open({"talk": {"footprint": "2GiB", "service": "generic", "free_paths": ["/free"],
                                "runner": {"process": {"command": command}}}})


def test_messages_go_both_ways_in_one_turn(house):
    open_house(house)
    with connect(house.url.replace("http", "ws") + "/c/talk/echo") as talk:
        for word in ("hello", "again", "x" * 100_000):
            talk.send(word)
            assert talk.recv(timeout=10) == "you said " + word
        assert house.line(consumer="talk", stage="running")
    house.wait_until_quiet()


def test_the_client_leaves_without_a_word(house):
    open_house(house)
    talk = connect(house.url.replace("http", "ws") + "/c/talk/echo")
    talk.send("hello")
    assert talk.recv(timeout=10) == "you said hello"
    talk.socket.shutdown(2)
    house.wait_until_quiet()


def test_a_free_path_takes_no_turn(house):
    open_house(house)
    house.post("/v1/consumers/talk/load")
    with connect(house.url.replace("http", "ws") + "/c/talk/free") as talk:
        talk.send("hello")
        assert talk.recv(timeout=10) == "you said hello"
        assert house.line() == []
