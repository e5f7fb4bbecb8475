"""docs/config.md equals what the binary prints; every command has a help text with an example."""
import json

import pytest

from daemon_harness import TREE


def test_the_page_about_the_configuration_is_up_to_date(harness):
    assert harness.run_mgpu("config", "reference").stdout == (TREE / "docs/config.md").read_text()


def test_the_schema_is_json(harness):
    schema = json.loads(harness.run_mgpu("config", "schema").stdout)
    assert "consumers" in schema["properties"]


@pytest.mark.parametrize("command", ["serve", "status", "run", "load", "unload", "park", "consumers", "line", "explain", "events",
                                     "config", "version", "completion"])
def test_every_command_has_help_with_an_example(harness, command):
    result = harness.run_mgpu(command, "--help")
    assert result.returncode == 0 and "Example" in result.stdout and "mgpu " + command in result.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(harness, shell):
    assert "mgpu" in harness.run_mgpu("completion", shell).stdout


def test_wrong_usage_is_2_and_no_daemon_is_3(harness):
    assert harness.run_mgpu("frobnicate").returncode == 2
    unreachable = harness.run_mgpu("status", "--url", "http://127.0.0.1:1")
    assert unreachable.returncode == 3 and "127.0.0.1:1" in unreachable.stderr
