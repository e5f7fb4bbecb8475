"""The configuration says no to what can't be meant, and reads commands, merge keys and variables as people expect."""

import pytest


def check(harness, text):
    harness.config_file.write_text(text)
    return harness.run_mgpu("config", "check", harness.config_file)


@pytest.mark.parametrize(("text", "complaint"), [
    ("listen: 127.0.0.1:0\n---\nconsumers: {a: {}}\n", ":2:1: a second YAML document begins here"),
    ("consumers:\n\ta:\n", "a tab indents line 2"),
    ("consumers: {a: {footprint: 5}}\n", ':1:28: consumers.a.footprint: "5" has no unit'),
    ("limits: {wait_limit: 5 min}\n", "write 5m"),
    ("limits: {events: 010}\n", "write 10"),
    ("consumers: {a: {runner: {process: {command: /bin/sleep 5 && true}}}}\n", '"&&" is an operator of a shell'),
    ("consumers: {a: {device: '${env.MGPU_NOT_SET}'}}\n", "MGPU_NOT_SET is not set"),
    ("consumers: {a: {url: '127.0.0.1:9001'}}\n", "write http://127.0.0.1:9001"),
])
def test_a_slip_is_named_with_what_to_write(harness, text, complaint):
    checked = check(harness, text)
    assert checked.returncode == 2 and "valid, " not in checked.stdout
    assert complaint in checked.stderr, checked.stderr


def test_words_of_yaml_anchors_and_merge_keys(harness):
    checked = check(harness, "x-common: &common {footprint: 4GiB, pinned: True}\nconsumers:\n  a: {<<: *common}\n  b: {<<: *common, pinned: off}\n")
    assert (checked.returncode, checked.stdout.split(": ")[1].strip()) == (0, "valid, 2 consumers")
    shown = harness.run_mgpu("config", "show", harness.config_file).stdout
    assert shown.count("footprint: 4GiB") == 2 and shown.count("pinned: true") == 1


def test_a_long_command_is_read_as_by_a_shell(harness):
    harness.config_file.write_text("consumers:\n  a:\n    runner:\n      process:\n        command: |\n          srv \\\n            --port ${PORT} \\\n"
                                   "            #--name old\n            --name a  # tried b before\n")
    shown = harness.run_mgpu("config", "show", harness.config_file).stdout
    assert 'command: [srv, --port, "${PORT}", --name, a]' in shown, shown


def test_a_secret_is_used_and_never_shown(harness):
    secret = "hf_very_secret"
    harness.env["MGPU_TEST_TOKEN"] = secret
    chat = harness.fake_consumer("chat")
    chat["runner"]["process"] = {"command": ["/bin/sh", "-c", 'echo "token $TOKEN"; exit 3', "${PORT}"],
                                 "env": {"TOKEN": "${env.MGPU_TEST_TOKEN}"}}
    harness.start_with({"chat": chat})
    shown = harness.run_mgpu("config", "show", harness.config_file)
    assert "${env.MGPU_TEST_TOKEN}" in shown.stdout and secret not in shown.stdout
    failed = harness.send_raw_chat("chat")
    assert failed.status == 503
    assert "token ${env.MGPU_TEST_TOKEN}" in failed.json()["error"]["message"], "the process had the value"
    consumer = harness.send_raw("GET", "/v1/consumers/chat").answer.text
    events = harness.send_raw("GET", "/v1/events?follow=false").answer.text
    for text in (failed.answer.text, consumer, events, harness.daemon.output):
        assert secret not in text, text


def test_an_error_does_not_show_a_secret(harness):
    harness.env["MGPU_TEST_TOKEN"] = "hf_very_secret"
    checked = check(harness, "consumers: {a: {url: '${env.MGPU_TEST_TOKEN}', footprint: '${env.MGPU_TEST_TOKEN}'}}\n")
    assert checked.returncode == 2 and checked.stderr.count("${env.MGPU_TEST_TOKEN}") >= 2
    assert "hf_very_secret" not in checked.stderr + checked.stdout
