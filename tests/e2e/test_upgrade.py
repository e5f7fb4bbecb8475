"""WebSockets are forwarded, and hold the turn as long as they are open."""
import sys

from websockets.sync.client import connect

from daemon_harness import TREE


def start_websocket_consumer(harness):
    command = [sys.executable, str(TREE / "tests/e2e/websocket_echo_service.py"), "${PORT}"]
    return harness.start_with({"talk": {"footprint": "2GiB", "service": "generic", "free_paths": ["/free"],
                                        "runner": {"process": {"command": command}}}})


def test_messages_go_both_ways_in_one_turn(harness):
    start_websocket_consumer(harness)
    with connect(harness.url.replace("http", "ws") + "/c/talk/echo") as connection:
        for word in ("hello", "again", "x" * 100_000):
            connection.send(word)
            assert connection.recv(timeout=10) == "you said " + word
        assert harness.tickets(consumer="talk", stage="running")
    harness.wait_until_quiet()


def test_the_client_leaves_without_a_word(harness):
    start_websocket_consumer(harness)
    connection = connect(harness.url.replace("http", "ws") + "/c/talk/echo")
    connection.send("hello")
    assert connection.recv(timeout=10) == "you said hello"
    connection.socket.shutdown(2)
    harness.wait_until_quiet()


def test_a_free_path_takes_no_turn(harness):
    start_websocket_consumer(harness)
    harness.post("/v1/consumers/talk/load")
    with connect(harness.url.replace("http", "ws") + "/c/talk/free") as connection:
        connection.send("hello")
        assert connection.recv(timeout=10) == "you said hello"
        assert harness.tickets() == []
