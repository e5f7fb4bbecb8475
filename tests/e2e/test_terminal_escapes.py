"""What a service says and what clients call themselves commands no terminal: not in the log, in errors, or in what
`mgpu` prints."""
import json

ESCAPES = "\x1b[31mred\x1b]0;title\x07 \x9b2J"
COMMANDS = [chr(code) for code in range(32) if chr(code) not in "\t\n"] + ["\x7f", "\x9b"]


def commands_in(text):
    return [character for character in COMMANDS if character in text]


def test_the_last_words_of_a_dying_service(house):
    script = f"printf '%b' '{ESCAPES}\\n\\0377broken\\n'; exit 3"
    chat = house.fake("chat", "5GiB")
    chat["runner"]["process"]["command"] = ["sh", "-c", script, "sh", "${PORT}"]
    house.open({"chat": chat})

    refused = house.mgpu("load", "chat")

    house.daemon.wait_for("did not load")
    spelt = "\\x1b[31mred\\x1b]0;title\\x07 \\u009b2J"
    assert spelt in refused.stderr and "\ufffdbroken" in refused.stderr
    assert spelt in house.daemon.text
    assert spelt in house.consumer("chat")["log"]
    seen = [house.mgpu(*words).stdout for words in (["consumers"], ["status"], ["events"], ["consumers", "--json"])]
    assert not commands_in(refused.stderr + house.daemon.text + "".join(seen))


def test_no_line_of_a_service_passes_for_one_of_the_log(house):
    chat = house.fake("chat", "5GiB")
    chat["runner"]["process"]["command"] = ["sh", "-c", "echo '2026-01-01T00:00:00.000 info all is well'; exit 3", "sh", "${PORT}"]
    house.open({"chat": chat})
    house.mgpu("load", "chat")
    house.daemon.wait_for("all is well")
    assert not [line for line in house.daemon.text.splitlines() if line.startswith("2026-01-01")]


def test_the_names_of_clients(house):
    house.open({"train": {"footprint": "4GiB"}})
    house.post("/v1/leases", {"consumer": "train", "who": f"me{ESCAPES}\nTICKET", "user": ESCAPES})
    shown = house.mgpu("line").stdout
    assert "me\\x1b[31mred" in shown and not commands_in(shown)
    assert len(shown.splitlines()) == 2
    listed = house.mgpu("line", "--json").stdout
    assert not commands_in(listed) and json.loads(listed)["line"][0]["who"].startswith("me\\x1b[31mred")
