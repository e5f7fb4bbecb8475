"""Client libraries and programs, unchanged, against the daemon in front of a real Ollama."""
import shutil
import subprocess

import pytest

from real_parts import REAL, TREE, needs, program, why_missing
from real_harness import TWO_AI_MODELS, RealHarness

CLIENTS = TREE / "tests/real/clients"
pytestmark = [needs("ollama", "clients"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """One daemon for all clients: they come after each other as they would over a day."""
    harness = RealHarness(tmp_path_factory.mktemp("clients"))
    harness.start_with({"ollama": harness.ollama_consumer("one")}, gpu=TWO_AI_MODELS, devices=[{"id": "gpu0", "reserve": "0"}])
    yield harness
    complaints = harness.stop_and_check()
    assert not complaints, "\n".join(complaints)


def run_client(house, *command, **env):
    done = subprocess.run([str(word) for word in command], env=house.env | env, capture_output=True, text=True, timeout=400,
                          cwd=house.folder, stdin=subprocess.DEVNULL)
    assert done.returncode == 0 and done.stdout.strip(), done.stdout + done.stderr
    house.wait_until_quiet()
    return done.stdout


@pytest.mark.quick
@pytest.mark.parametrize("script", ["openai_chat.py", "ollama_chat.py"])
def test_python_libraries(house, script):
    run_client(house, program("clients", "python"), CLIENTS / script, house.url, "one")


@pytest.mark.parametrize("script", ["litellm_chat.py", "langchain_chat.py"])
def test_python_frameworks(house, script):
    run_client(house, program("clients", "python"), CLIENTS / script, house.url, "one")


@needs("node")
@pytest.mark.parametrize("script", ["openai_chat.mjs", "ollama_chat.mjs"])
def test_node_libraries(house, script):
    modules = house.folder / "node_modules"
    if not modules.exists():
        modules.symlink_to(REAL / "node/node_modules")
    here = house.folder / script  # Node looks for packages beside the script
    shutil.copyfile(CLIENTS / script, here)
    run_client(house, "node", here, house.url, "one")


def test_the_command_llm(house):
    listed = run_client(house, program("clients", "llm"), "models", "list", OLLAMA_HOST=house.url)
    assert "one:latest" in listed
    run_client(house, program("clients", "llm"), "-m", "one:latest", "-o", "num_predict", "8", "--no-stream", "Say hello.",
               OLLAMA_HOST=house.url)


@needs("java")
def test_javas_own_client(house):
    run_client(house, "java", CLIENTS / "HttpClientChat.java", house.url, "one")


@pytest.mark.quick
@pytest.mark.parametrize("option", ["--http2", "--http1.1", "--http1.0"])
def test_curl(house, option):
    answer = run_client(house, "curl", "-sS", "--fail", option, f"{house.url}/api/generate", "-d",
                        '{"model": "one", "prompt": "Say hello.", "stream": false, "options": {"num_predict": 8}}')
    assert '"done":true' in answer
