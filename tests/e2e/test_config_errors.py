"""A wrong configuration: all errors at once, each with line and column, exit code 2, nothing started."""

import os

import pytest

WRONG = """\
listen: 127.0.0.1:0
polcy: fifo
devices:
  - {id: gpu0, reserve: 512 Megs}
  - {id: gpu0}
consumers:
  chat:
    footprnt: 14GiB
    device: gpu7
    url: https://example.org
  voice:
    aliases: [chat]
    footprint: 2GiB
    concurrency: 0
"""


def test_all_complaints_come_at_once_with_line_and_column(harness):
    harness.make_gpu("12GiB")
    harness.config_file.write_text(WRONG)
    refused = harness.run_mgpu("serve", "--config", harness.config_file)
    assert refused.returncode == 2 and "listening" not in refused.stdout
    for complaint in ('mgpu.yaml:8:5: consumers.chat.footprnt: unknown key, did you mean "footprint"?',
                      "mgpu.yaml:2:1: polcy:", "mgpu.yaml:4:", "two devices", "gpu7", "https", "voice.aliases", "concurrency"):
        assert complaint in refused.stderr, complaint
    checked = harness.run_mgpu("config", "check", harness.config_file)
    assert checked.returncode == 2
    assert checked.stderr + checked.stdout == refused.stderr


@pytest.mark.skipif(os.path.exists("/etc/mgpu/mgpu.yaml"), reason="this machine has an installed mgpu")
def test_nothing_given_and_nothing_there(harness):
    refused = harness.start_program("serve", cwd=harness.folder)
    assert refused.exit_code() == 2
    assert "./mgpu.yaml" in refused.output and "/etc/mgpu/mgpu.yaml" in refused.output and "--config" in refused.output


def test_no_file_and_no_yaml(harness):
    harness.make_gpu("12GiB")
    missing = harness.run_mgpu("serve", "--config", harness.folder / "nowhere.yaml")
    assert missing.returncode == 2 and "nowhere.yaml" in missing.stderr
    harness.config_file.write_text("consumers: [oh: no\n")
    broken = harness.run_mgpu("serve", "--config", harness.config_file)
    assert broken.returncode == 2 and "mgpu.yaml:" in broken.stderr


def test_files_that_are_not_there(harness):
    harness.make_gpu("12GiB")
    chat, voice = harness.fake_consumer("chat"), harness.fake_consumer("voice")
    chat["runner"]["process"]["command"][0] = "lama-server"
    voice["runner"]["process"]["log_file"] = "/nowhere/voice.log"
    harness.write_config({"chat": chat, "voice": voice})
    refused = harness.run_mgpu("serve", "--config", harness.config_file)
    assert refused.returncode == 2 and "listening" not in refused.stdout
    assert 'chat.runner.process.command: no program "lama-server" in PATH' in refused.stderr
    assert 'voice.runner.process.log_file: there is no folder "/nowhere"' in refused.stderr


def test_a_right_one_is_shown_with_every_default(harness):
    harness.config_file.write_text("consumers:\n  chat: {footprint: 14GiB}\n")
    assert harness.run_mgpu("config", "check", harness.config_file).returncode == 0
    shown = harness.run_mgpu("config", "show", harness.config_file)
    assert shown.returncode == 0 and "footprint: 14GiB" in shown.stdout and "load_limit: 1m" in shown.stdout
    again = harness.folder / "again.yaml"
    again.write_text(shown.stdout)
    assert harness.run_mgpu("config", "show", again).stdout == shown.stdout
