"""What residents cost is shown with how it is known."""
import json

from house import GiB


def test_a_declared_footprint_is_shown_as_declared(house):
    house.open({"chat": house.fake("chat", "5GiB"), "voice": house.fake("voice", "0", holds="1GiB")})

    shown = house.mgpu("footprints")
    rows = json.loads(house.mgpu("footprints", "--json").stdout)["footprints"]

    chat, voice = rows
    assert (chat["consumer"], chat["source"], chat["declared_bytes"]) == ("chat", "declared", 5 * GiB)
    assert (voice["consumer"], voice["source"], voice["expected_bytes"]) == ("voice", "unknown", 0)
    assert "declared" in shown.stdout and "nobody said" in shown.stdout


def test_forgetting_names_whom(house):
    house.open({"chat": house.fake("chat", "5GiB")})

    assert "forgotten" in house.mgpu("footprints", "forget", "chat").stdout
    unknown = house.mgpu("footprints", "forget", "chta")

    assert unknown.returncode == 1 and "chat" in unknown.stderr
    assert house.events("learned_forgotten")[0][1]["consumer"] == "chat"
