"""Client libraries and programs, unchanged, against the daemon in front of a real Ollama."""
import shutil
import subprocess

import pytest

from real_parts import REAL, TREE, needs, program, why_missing
from real_harness import TWO_AI_MODELS, RealHarness

CLIENTS = TREE / "tests/real/clients"
pytestmark = [needs("ollama", "clients"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def with_ollama(tmp_path_factory):
    """One daemon for all clients: they come after each other as they would over a day."""
    harness = RealHarness(tmp_path_factory.mktemp("clients"))
    _, consumer = harness.external_ollama("one")
    harness.start_with({"ollama": consumer}, gpu=TWO_AI_MODELS, devices=[{"id": "gpu0", "reserve": "0"}])
    yield harness
    complaints = harness.stop_and_check()
    assert not complaints, "\n".join(complaints)


def run_client(with_ollama, *command, **env):
    done = subprocess.run([str(word) for word in command], env=with_ollama.env | env, cwd=with_ollama.folder,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0 and done.stdout.strip(), done.stdout + done.stderr
    with_ollama.wait_until_quiet()
    return done.stdout


@pytest.mark.quick
@pytest.mark.parametrize("script", ["openai_chat.py", "ollama_chat.py"])
def test_python_libraries(with_ollama, script):
    run_client(with_ollama, program("clients", "python"), CLIENTS / script, with_ollama.url, "one")


@pytest.mark.parametrize("script", ["litellm_chat.py", "langchain_chat.py"])
def test_python_frameworks(with_ollama, script):
    run_client(with_ollama, program("clients", "python"), CLIENTS / script, with_ollama.url, "one")


@needs("node")
@pytest.mark.parametrize("script", ["openai_chat.mjs", "ollama_chat.mjs"])
def test_node_libraries(with_ollama, script):
    modules = with_ollama.folder / "node_modules"
    if not modules.exists():
        modules.symlink_to(REAL / "node/node_modules")
    here = with_ollama.folder / script  # Node looks for packages beside the script
    shutil.copyfile(CLIENTS / script, here)
    run_client(with_ollama, "node", here, with_ollama.url, "one")


def test_the_command_llm(with_ollama):
    listed = run_client(with_ollama, program("clients", "llm"), "models", "list", OLLAMA_HOST=with_ollama.url)
    assert "one:latest" in listed
    run_client(with_ollama, program("clients", "llm"), "-m", "one:latest", "-o", "num_predict", "8", "--no-stream",
               "Say hello.", OLLAMA_HOST=with_ollama.url)


@needs("java")
def test_javas_own_client(with_ollama):
    run_client(with_ollama, "java", CLIENTS / "HttpClientChat.java", with_ollama.url, "one")


@pytest.mark.quick
@pytest.mark.parametrize("option", ["--http2", "--http1.1", "--http1.0"])
def test_curl(with_ollama, option):
    answer = run_client(with_ollama, "curl", "-sS", "--fail", option, f"{with_ollama.url}/api/generate", "-d",
                        '{"model": "one", "prompt": "Say hello.", "stream": false, "options": {"num_predict": 8}}')
    assert '"done":true' in answer
