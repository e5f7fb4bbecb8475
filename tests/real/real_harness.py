"""The daemon in front of real applications. They compute on the CPU; libmgpu-simgpu-preload.so lets each of their processes
hold bytes of the simulated GPU for its weights, caches and buffers."""
import os
import shutil
import signal
import subprocess
import sys

import httpx

from real_parts import OLLAMA, REAL, TREE, gguf, minilm_model, program, whisper_model
from daemon_harness import BIN, DaemonHarness, free_port, wait_until

ONE_AI_MODEL = "700MiB"  # a GPU that has room for one AI model of gguf() and its caches, but not for two
TWO_AI_MODELS = "2GiB"
# Two threads would busy-wait for each other on a machine that has other work.
PARAMETERS = "PARAMETER num_thread 1\nPARAMETER num_predict 16\nPARAMETER temperature 0\n"


def seen_seconds():
    """What an application does by itself is in the daemon's status after two seconds of a machine that does nothing else."""
    return 2 * max(1, os.getloadavg()[0] / os.cpu_count())


class RealHarness(DaemonHarness):
    def __init__(self, folder):
        super().__init__(folder)
        self.applications = []
        self.env |= {"OLLAMA_NOPRUNE": "1", "HOME": str(folder), "HF_HUB_OFFLINE": "1"}

    # --- applications ---

    def on_the_gpu(self, **env):
        """The environment of an application that shall hold memory of the simulated GPU."""
        return {"LD_PRELOAD": str(BIN / "libmgpu-simgpu-preload.so"), "OMP_NUM_THREADS": "1", **env}

    def run_by_daemon(self, service, *command, footprint="500MiB", env=None, **config):
        """A consumer whose application the daemon starts and stops."""
        process = {"command": [str(word) for word in command], "env": self.on_the_gpu(**env or {})}
        return {"service": service, "footprint": footprint, "load_limit": "2m", "stop_limit": "10s",
                "runner": {"process": process}, **config}

    def ollama_env(self, *ai_models):
        """Ollama's settings, with a store of its own that has these AI models."""
        store = self.folder / "ollama"
        if not store.exists():
            shutil.copytree(ollama_store(*ai_models), store, copy_function=link_blob)
        return {"OLLAMA_MODELS": str(store), "OLLAMA_CONTEXT_LENGTH": "2048", "OLLAMA_NUM_PARALLEL": "1", "OLLAMA_NOPRUNE": "1"}

    def ollama_consumer(self, *ai_models, **config):
        # By `env`, since ${PORT} has to be in the command.
        return self.run_by_daemon("ollama", "env", "OLLAMA_HOST=127.0.0.1:${PORT}", OLLAMA, "serve",
                                  env=self.ollama_env(*ai_models), **config)

    def external_ollama(self, *ai_models, **config):
        """Ollama runs by itself, as a unit of the system would; the daemon only knows its URL."""
        address = f"127.0.0.1:{free_port()}"
        started = self.start_application(OLLAMA, "serve", env={"OLLAMA_HOST": address, **self.ollama_env(*ai_models)})
        started.url = f"http://{address}"
        wait_until(lambda: answers(f"{started.url}/api/version"), "Ollama to answer", 60)
        return started, {"service": "ollama", "footprint": "500MiB", "load_limit": "2m", "url": started.url, **config}

    def start_application(self, *command, env=None):
        """Starts an application without the daemon; it is asked to end after the test."""
        usual = self.env
        self.env = usual | self.on_the_gpu(**env or {})
        try:
            self.applications.append(self.start_program(*command[1:], program=command[0]))
        finally:
            self.env = usual
        return self.applications[-1]

    def stop_and_check(self):
        for application in self.applications:  # killed, it could not end its children
            application.signal(signal.SIGTERM)
            application.exit_code()
        return super().stop_and_check()

    def llama_server(self, **config):
        """llama.cpp's own server, of the package xllamacpp, which needs no build."""
        return self.run_by_daemon("llama-server", sys.executable, TREE / "tests/e2e/real_llama_server.py", "--port", "${PORT}",
                                  **config)

    def llama_router(self, *ai_models, **config):
        models = self.folder / "models"
        models.mkdir(exist_ok=True)
        for name in ai_models:
            (models / f"{name}.gguf").symlink_to(gguf(name))
        [server] = (REAL / "llama").glob("**/llama-server")
        return self.run_by_daemon("llama-server", server, "--host", "127.0.0.1", "--port", "${PORT}", "--models-dir", models,
                                  "--ctx-size", 2048, "--threads", 1, "--parallel", 1, "--no-warmup", router=True, **config)

    def wyoming_whisper(self, **config):
        return self.run_by_daemon("wyoming", program("services", "wyoming-faster-whisper"), "--model", whisper_model(),
                                  "--language", "en", "--stt-library", "faster-whisper", "--data-dir", self.folder / "wyoming",
                                  "--cpu-threads", 1, "--uri", "tcp://127.0.0.1:${PORT}", kind="stt", **config)

    def whisper_server(self, **config):
        return self.run_by_daemon("generic", program("services", "faster-whisper-server"), whisper_model(), "--host",
                                  "127.0.0.1", "--port", "${PORT}", kind="stt", health="/health", **config)

    def infinity(self, **config):
        return self.run_by_daemon("infinity", program("infinity", "infinity_emb"), "v2", "--model-id", minilm_model(),
                                  "--engine", "torch", "--device", "cpu", "--served-model-name", "minilm", "--no-model-warmup",
                                  "--host", "127.0.0.1", "--port", "${PORT}", kind="embedding", env={"DO_NOT_TRACK": "1"},
                                  **config)

    # --- what is there ---

    def residents(self, consumer="ollama"):
        """AI model -> state."""
        return {resident["ai_model"]: resident["state"] for resident in self.consumer(consumer)["residents"]}

    def committed(self):
        return sum(device["memory"]["committed_bytes"] for device in self.status()["devices"])

    def holders(self):
        """The processes that hold device memory, as the driver lists them."""
        return [process for device in self.gpu_states() for process in device["processes"]]

    def held(self):
        """What the driver shows: bytes that some process holds."""
        return sum(device["used"] for device in self.gpu_states())

    def wait_for_resident(self, ai_model, state, consumer="ollama", seconds=None):
        wait_until(lambda: self.residents(consumer).get(ai_model, "gone") == state, f"{ai_model} to be {state}",
                   seconds or seen_seconds())

    def wait_for_nothing_held(self):
        wait_until(lambda: self.held() == 0, "the driver to show nothing", 30)
        wait_until(lambda: self.committed() == 0, "the daemon to see that nothing is held", seen_seconds())

    def ask(self, ai_model, tokens=4):
        """One chat with the openai client; returns the answer's text, which is never empty."""
        text = self.chat(ai_model, max_tokens=tokens, temperature=0)
        assert text, "an empty answer"
        return text

    def openai(self, **options):
        return super().openai(**{"timeout": 300, **options})  # a load on a busy machine takes a minute

    def run_ollama(self, *arguments, url=None, stdin="", seconds=300):
        """Ollama's own command, as a client of the daemon or of `url`."""
        done = subprocess.run([OLLAMA, *arguments], env=self.env | {"OLLAMA_HOST": url or self.url}, capture_output=True,
                              text=True, timeout=seconds, input=stdin)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def answers(url):
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


def link_blob(source, target):
    """Blobs are large and never change; a manifest may be written anew."""
    try:
        (os.link if "/blobs/" in str(source) else shutil.copy2)(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def ollama_store(*ai_models):
    """A store with these AI models, made once with Ollama's own command."""
    made = REAL / "stores" / "-".join(sorted(ai_models))
    if made.exists():
        return made
    unfinished = made.with_name(f"{made.name}.{os.getpid()}")
    address = f"127.0.0.1:{free_port()}"
    env = {**os.environ, "OLLAMA_HOST": address, "OLLAMA_MODELS": str(unfinished), "HOME": str(unfinished)}
    unfinished.mkdir(parents=True)
    with subprocess.Popen([OLLAMA, "serve"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            wait_until(lambda: answers(f"http://{address}/api/version"), "Ollama to answer", 60)
            for name in ai_models:
                model_file = unfinished / "Modelfile"
                model_file.write_text(f"FROM {gguf(name)}\n{PARAMETERS}")
                subprocess.run([OLLAMA, "create", name, "-f", model_file], env=env, check=True, capture_output=True,
                               timeout=300)
        finally:
            server.terminate()
    unfinished.rename(made)
    return made
