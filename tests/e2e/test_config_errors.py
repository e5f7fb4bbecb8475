"""A wrong configuration: everything that is wrong with it at once, each with its place, exit 2, nothing started."""

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


def test_all_complaints_come_at_once_with_line_and_column(house):
    house.make_gpu("12GiB")
    house.config_file.write_text(WRONG)
    refused = house.mgpu("serve", "--config", house.config_file)
    assert refused.returncode == 2 and "listening" not in refused.stdout
    for complaint in ('mgpu.yaml:8:5: consumers.chat.footprnt: unknown key, did you mean "footprint"?',
                      "mgpu.yaml:2:1: polcy:", "mgpu.yaml:4:", "two devices", "gpu7", "https", "voice.aliases", "concurrency"):
        assert complaint in refused.stderr, complaint
    checked = house.mgpu("config", "check", house.config_file)
    assert checked.returncode == 2
    assert checked.stderr + checked.stdout == refused.stderr


@pytest.mark.skipif(os.path.exists("/etc/mgpu/mgpu.yaml"), reason="this machine has an installed mgpu")
def test_nothing_given_and_nothing_there(house):
    refused = house.start("serve", cwd=house.folder)
    assert refused.exit_code() == 2
    assert "./mgpu.yaml" in refused.text and "/etc/mgpu/mgpu.yaml" in refused.text and "--config" in refused.text


def test_no_file_and_no_yaml(house):
    house.make_gpu("12GiB")
    missing = house.mgpu("serve", "--config", house.folder / "nowhere.yaml")
    assert missing.returncode == 2 and "nowhere.yaml" in missing.stderr
    house.config_file.write_text("consumers: [oh: no\n")
    broken = house.mgpu("serve", "--config", house.config_file)
    assert broken.returncode == 2 and "mgpu.yaml:" in broken.stderr


def test_files_that_are_not_there(house):
    house.make_gpu("12GiB")
    chat, voice = house.fake("chat"), house.fake("voice")
    chat["runner"]["process"]["command"][0] = "lama-server"
    voice["runner"]["process"]["log_file"] = "/nowhere/voice.log"
    house.write_config({"chat": chat, "voice": voice})
    refused = house.mgpu("serve", "--config", house.config_file)
    assert refused.returncode == 2 and "listening" not in refused.stdout
    assert 'chat.runner.process.command: no program "lama-server" in PATH' in refused.stderr
    assert 'voice.runner.process.log_file: there is no folder "/nowhere"' in refused.stderr


def test_a_right_one_is_shown_with_every_default(house):
    house.config_file.write_text("consumers:\n  chat: {footprint: 14GiB}\n")
    assert house.mgpu("config", "check", house.config_file).returncode == 0
    shown = house.mgpu("config", "show", house.config_file)
    assert shown.returncode == 0 and "footprint: 14GiB" in shown.stdout and "load_limit: 1m" in shown.stdout
    again = house.folder / "again.yaml"
    again.write_text(shown.stdout)
    assert house.mgpu("config", "show", again).stdout == shown.stdout
