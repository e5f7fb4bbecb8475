"""A footprint is shown together with its source: declared, estimated, learned, unknown."""
import json

from daemon_harness import GiB


def test_a_declared_footprint_is_shown_as_declared(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "5GiB"),
                        "voice": harness.fake_consumer("voice", "0", holds="1GiB")})

    shown = harness.run_mgpu("footprints")
    rows = json.loads(harness.run_mgpu("footprints", "--json").stdout)["footprints"]

    chat, voice = rows
    assert (chat["consumer"], chat["source"], chat["declared_bytes"]) == ("chat", "declared", 5 * GiB)
    assert (voice["consumer"], voice["source"], voice["expected_bytes"]) == ("voice", "unknown", 0)
    assert "declared" in shown.stdout and "not measured yet" in shown.stdout


def test_forgetting_names_whom(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "5GiB")})

    assert "forgotten" in harness.run_mgpu("footprints", "forget", "chat").stdout
    unknown = harness.run_mgpu("footprints", "forget", "chta")

    assert unknown.returncode == 1 and "chat" in unknown.stderr
    assert harness.events("learned_forgotten")[0][1]["consumer"] == "chat"
