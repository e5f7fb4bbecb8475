"""Text from services and clients sends no control sequence to a terminal: not in the log, in errors, or in the output of
`mgpu`."""
import json

ESCAPES = "\x1b[31mred\x1b]0;title\x07 \x9b2J"
CONTROL_CHARACTERS = [chr(code) for code in range(32) if chr(code) not in "\t\n"] + ["\x7f", "\x9b"]


def control_characters_in(text):
    return [character for character in CONTROL_CHARACTERS if character in text]


def test_the_last_words_of_a_dying_service(harness):
    script = f"printf '%b' '{ESCAPES}\\n\\0377broken\\n'; exit 3"
    chat = harness.fake_consumer("chat", "5GiB")
    chat["runner"]["process"]["command"] = ["sh", "-c", script, "sh", "${PORT}"]
    harness.start_with({"chat": chat})

    refused = harness.run_mgpu("load", "chat")

    harness.daemon.wait_for_output(r"loading \S+ failed")
    escaped = "\\x1b[31mred\\x1b]0;title\\x07 \\u009b2J"
    assert escaped in refused.stderr and "\ufffdbroken" in refused.stderr
    assert escaped in harness.daemon.output
    assert escaped in harness.consumer("chat")["log"]
    seen = [harness.run_mgpu(*words).stdout for words in (["consumers"], ["status"], ["events"], ["consumers", "--json"])]
    assert not control_characters_in(refused.stderr + harness.daemon.output + "".join(seen))


def test_no_line_of_a_service_passes_for_one_of_the_log(harness):
    chat = harness.fake_consumer("chat", "5GiB")
    chat["runner"]["process"]["command"] = ["sh", "-c", "echo '2026-01-01T00:00:00.000 info all is well'; exit 3", "sh",
                                            "${PORT}"]
    harness.start_with({"chat": chat})
    harness.run_mgpu("load", "chat")
    harness.daemon.wait_for_output("all is well")
    assert not [line for line in harness.daemon.output.splitlines() if line.startswith("2026-01-01")]


def test_the_names_of_clients(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    harness.post("/v1/leases", {"consumer": "train", "who": f"me{ESCAPES}\nTICKET", "user": ESCAPES})
    shown = harness.run_mgpu("line").stdout
    assert "me\\x1b[31mred" in shown and not control_characters_in(shown)
    assert len(shown.splitlines()) == 2
    listed = harness.run_mgpu("line", "--json").stdout
    assert not control_characters_in(listed) and json.loads(listed)["line"][0]["who"].startswith("me\\x1b[31mred")
