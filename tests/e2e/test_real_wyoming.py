"""The contract with Wyoming, against the protocol's own package: ready when it describes itself, gone when it is stopped."""
import sys

from house import TREE

SERVER = TREE / "tests/e2e/real_wyoming_server.py"


def test_is_ready_when_it_describes_itself_and_ends_to_make_room(house):
    house.open({"voice": {"service": "wyoming", "kind": "tts", "footprint": "1GiB", "load_limit": "30s",
                          "runner": {"process": {"command": [sys.executable, str(SERVER), "--uri", "tcp://127.0.0.1:${PORT}"]}}}})
    loaded = house.post("/v1/consumers/voice/load")
    assert loaded.status_code in (200, 202), loaded.text
    house.wait_for_state("voice", "warm")
    assert house.post("/v1/consumers/voice/unload").status_code in (200, 202)
    house.wait_for_state("voice", "cold")


def test_something_else_at_its_port_never_gets_ready(house):
    house.open({"voice": house.fake("voice", service="wyoming", load_limit="1s")})
    refused = house.post("/v1/consumers/voice/load")
    assert refused.status_code == 503 and "describe" in refused.text
