"""The service `wyoming` against the protocol's own package: ready when it answers `describe`, stopped on eviction."""
import sys

from daemon_harness import TREE

SERVER = TREE / "tests/e2e/real_wyoming_server.py"


def test_is_ready_when_it_describes_itself_and_ends_to_make_room(harness):
    harness.start_with({"voice": {"service": "wyoming", "kind": "tts", "footprint": "1GiB", "load_limit": "30s",
                                  "runner": {"process": {"command": [sys.executable, str(SERVER), "--uri",
                                                              "tcp://127.0.0.1:${PORT}"]}}}})
    loaded = harness.post("/v1/consumers/voice/load")
    assert loaded.status_code in (200, 202), loaded.text
    harness.wait_for_state("voice", "warm")
    assert harness.post("/v1/consumers/voice/unload").status_code in (200, 202)
    harness.wait_for_state("voice", "cold")


def test_something_else_at_its_port_never_gets_ready(harness):
    harness.start_with({"voice": harness.fake_consumer("voice", service="wyoming", load_limit="1s")})
    refused = harness.post("/v1/consumers/voice/load")
    assert refused.status_code == 503 and "describe" in refused.text
