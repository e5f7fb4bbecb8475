"""The clients of the soak: each is a thread that sends one request after the other; some disconnect. Every request is
recorded with its outcome, which leak_checks.py reads:

    answered            complete, with the expected content
    refused: CODE       an error in the client's protocol, with an error code of the daemon
    cut                 a stream that broke off after its head: its service died
    disconnected        the client closed the connection on purpose
    daemon              the daemon was killed during the request
    unclear: ...        anything else, which is a failure
"""
import collections
import dataclasses
import http.client
import json
import random
import threading
import time

import httpx
import ollama
import openai

ANSWER_SECONDS = 40  # longer than every wait limit of the soak: a request without an answer by then is lost
WORDS = [f"word{i}" for i in range(5)]


@dataclasses.dataclass
class RequestRecord:
    user: str
    consumer: str
    client_kind: str
    outcome: str = ""
    seconds: float = 0


class RequestLog:
    """All requests, and whether the daemon is up."""

    def __init__(self, harness):
        self.harness = harness
        self.requests = []
        self.lock = threading.Lock()
        self.daemon_up = threading.Event()
        self.stopping = threading.Event()
        self.daemon_generation = 0  # incremented at each start and stop: odd while the daemon is up
        self.memory_handover_lock = threading.Lock()  # held from the wait of an `mgpu run` until its command has its memory

    def daemon_started(self):
        self.daemon_generation += 1
        self.daemon_up.set()

    def daemon_stopped(self):
        self.daemon_generation += 1
        self.daemon_up.clear()

    def add(self, consumer, client_kind):
        with self.lock:
            self.requests.append(RequestRecord(f"c{len(self.requests)}", consumer, client_kind))
            return self.requests[-1]

    def outcome_counts(self):
        return collections.Counter(f"{request.client_kind}, {request.outcome}" for request in self.requests)


class ClientThread(threading.Thread):
    """Sends requests until the log's `stopping`. send_request(harness, request, rng) returns the outcome."""

    def __init__(self, request_log, seed, send_request, consumers, pause):
        super().__init__(daemon=True)
        self.request_log, self.rng = request_log, random.Random(seed)
        self.send_request, self.consumers, self.pause = send_request, consumers, pause

    def run(self):
        while not self.request_log.stopping.wait(self.rng.random() * self.pause):
            if not self.request_log.daemon_up.wait(1):
                continue
            generation = self.request_log.daemon_generation
            request = self.request_log.add(self.rng.choice(self.consumers), self.send_request.__name__)
            began = time.monotonic()
            try:
                outcome = self.send_request(self.request_log.harness, request, self.rng)
            except Exception as error:
                outcome = f"unclear: {type(error).__name__}: {error}"
            if outcome.startswith(("unclear", "cut")) and generation != self.request_log.daemon_generation:
                outcome = "daemon"
            request.seconds, request.outcome = time.monotonic() - began, outcome


def error_outcome(status, text, shape):
    """The outcome for an error answer: its body must be JSON in the shape of the protocol."""
    try:
        error = json.loads(text)["error"]
        if shape == "ollama":
            return f"refused: {status}" if isinstance(error, str) and error else f"unclear: {text}"
        return f"refused: {error['code']}" if error["code"] and error["message"] else f"unclear: {text}"
    except (ValueError, KeyError, TypeError):
        return f"unclear: {status} {text[:200]}"


def openai_answer(harness, request, _):
    with harness.openai(timeout=ANSWER_SECONDS) as client:
        try:
            answer = client.chat.completions.create(model=request.consumer, messages=[], user=request.user)
        except openai.APIStatusError as error:
            return error_outcome(error.status_code, error.response.text, "openai")
    text = answer.choices[0].message.content
    return "answered" if text.startswith("answer of ") else f"unclear: {text}"


def openai_stream(harness, request, _):
    has_started, words = False, []
    with harness.openai(timeout=ANSWER_SECONDS) as client:
        try:
            answer = client.chat.completions.create(model=request.consumer, messages=[], user=request.user, stream=True)
            has_started = True
            for chunk in answer:
                words.append(chunk.choices[0].delta.content)
        except openai.APIStatusError as error:
            return error_outcome(error.status_code, error.response.text, "openai")
        except (openai.APIError, httpx.HTTPError) as error:
            return "cut" if has_started else f"unclear: {error}"
    return "answered" if words == WORDS else f"unclear: received {words}"


def ollama_stream(harness, request, _):
    words = []
    client = ollama.Client(host=harness.url, timeout=ANSWER_SECONDS)
    try:
        for part in client.chat(model=request.consumer, messages=[{"role": "user", "content": "hello"}], stream=True):
            words.append(part.message.content)
    except ollama.ResponseError as error:
        return f"refused: {error.status_code}" if error.error else "unclear: an error without a message"
    except httpx.HTTPError as error:
        has_started = words or "without sending complete message body" in str(error)
        return "cut" if has_started else f"unclear: {error}"
    finally:
        client._client.close()
    return "answered" if words == WORDS else f"unclear: received {words}"


def embedding(harness, request, _):
    answer = httpx.post(f"{harness.url}/v1/embeddings", json={"model": request.consumer, "input": "a", "user": request.user},
                        timeout=ANSWER_SECONDS)
    if answer.status_code != 200:
        return error_outcome(answer.status_code, answer.text, "openai")
    return "answered" if answer.json()["data"][0]["embedding"] == [0.5, 0.5] else f"unclear: {answer.text}"


def raw_stream(harness, request, rng):
    """On a raw socket. One in three disconnects: while it waits, or within the answer."""
    disconnects = rng.choice(["never"] * 4 + ["soon", "after the first word"])
    client = harness.send_raw("POST", f"/c/{request.consumer}/v1/chat/completions", {"stream": True, "user": request.user})
    client.socket.settimeout(ANSWER_SECONDS)
    has_started = False
    try:
        if disconnects == "soon":
            time.sleep(rng.random() * 0.5)
            return "disconnected"
        answer = http.client.HTTPResponse(client.socket)
        answer.begin()
        if answer.status != 200:
            return error_outcome(answer.status, answer.read().decode(), "openai")
        has_started = True
        if disconnects == "after the first word":
            answer.readline()
            return "disconnected"
        text = answer.read().decode()
    except (http.client.IncompleteRead, ConnectionError) as error:
        return "cut" if has_started else f"unclear: {error!r}"
    finally:
        client.close()
    return "answered" if text.endswith("data: [DONE]\n\n") and text.count("word") == 5 else f"unclear: {text}"


def lease(harness, request, rng):
    """Holds a lease for up to 100 ms; one in four is not released, so that its ttl ends it."""
    with httpx.Client(base_url=harness.url, timeout=ANSWER_SECONDS) as client:
        granted = client.post("/v1/leases", json={"consumer": request.consumer, "ttl": "500ms", "who": request.user})
        if granted.status_code != 200:
            return error_outcome(granted.status_code, granted.text, "openai")
        time.sleep(rng.random() * 0.1)
        if rng.random() < 0.25:
            return "disconnected"
        ended = client.delete(f"/v1/leases/{granted.json()['id']}")
    return "answered" if ended.status_code in (200, 404) else f"unclear: {ended.text}"


class RunCommandClient:
    """Runs `mgpu run` with a command that allocates the memory it waited for."""

    def __init__(self, request_log, simgpu):
        self.request_log, self.simgpu = request_log, simgpu

    def run_command(self, harness, request, rng):
        with self.request_log.memory_handover_lock:
            program = harness.start_program("run", "--consumer", request.consumer, "--wait-limit", "15s", "--",
                                            self.simgpu, "hold", "4GiB", "--", "sh", "-c",
                                            f"echo held; sleep {rng.random() * 0.3:.2f}; echo done")
            try:
                program.wait_for_output("held", ANSWER_SECONDS)
            except AssertionError:
                pass  # the exit code says why
        code = program.exit_code(ANSWER_SECONDS)
        harness.processes_started.remove(program)
        if code == 0 and "done" in program.output:
            return "answered"
        code_name = "wait_limit" if code == 124 else "command"
        return f"refused: {code_name}" if code in (124, 125) and "mgpu" in program.output else f"unclear: {code} {program.output}"
