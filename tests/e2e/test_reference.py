"""docs/config.md is what the binary prints, so it cannot drift; every command explains itself."""
import json

import pytest

from house import TREE


def test_the_page_about_the_configuration_is_up_to_date(house):
    assert house.mgpu("config", "reference").stdout == (TREE / "docs/config.md").read_text()


def test_the_schema_is_json(house):
    schema = json.loads(house.mgpu("config", "schema").stdout)
    assert "consumers" in schema["properties"]


@pytest.mark.parametrize("command", ["serve", "status", "run", "load", "unload", "park", "consumers", "line", "explain", "events",
                                     "config", "version", "completion"])
def test_every_command_has_help_with_an_example(house, command):
    told = house.mgpu(command, "--help")
    assert told.returncode == 0 and "Example" in told.stdout and "mgpu " + command in told.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(house, shell):
    assert "mgpu" in house.mgpu("completion", shell).stdout


def test_wrong_usage_is_2_and_no_daemon_is_3(house):
    assert house.mgpu("frobnicate").returncode == 2
    nobody = house.mgpu("status", "--url", "http://127.0.0.1:1")
    assert nobody.returncode == 3 and "127.0.0.1:1" in nobody.stderr
