"""Those who ask: each of them one thread that sends request after request, some of whom hang up. What came of each
request is written down once, in words that the audit knows:

    answered            complete, and with the words that the service said
    refused: CODE       an error in the protocol of the caller, with a code of the daemon
    cut                 a stream that broke off after its head had come: its service died
    vanished            the client hung up on purpose
    daemon              the daemon was killed meanwhile
    unclear: ...        anything else, which is a failure
"""
import collections
import dataclasses
import http.client
import json
import random
import socket
import threading
import time

import httpx
import ollama
import openai

ANSWER_SECONDS = 40  # longer than any wait limit of the soak: who gets nothing until then was forgotten
WORDS = [f"word{i}" for i in range(5)]


@dataclasses.dataclass
class Asked:
    user: str
    consumer: str
    how: str
    outcome: str = ""
    seconds: float = 0


class Book:
    """Every request, and under which life of the daemon it was sent."""

    def __init__(self, harness):
        self.harness = harness
        self.asked = []
        self.lock = threading.Lock()
        self.up = threading.Event()
        self.over = threading.Event()
        self.lives = 0  # a life begins and ends: odd while the daemon is up
        self.delicate = threading.Lock()  # held from a command's wait for its turn until it has its memory

    def begins(self):
        self.lives += 1
        self.up.set()

    def ends(self):
        self.lives += 1
        self.up.clear()

    def enter(self, consumer, how):
        with self.lock:
            self.asked.append(Asked(f"c{len(self.asked)}", consumer, how))
            return self.asked[-1]

    def counts(self):
        return collections.Counter(f"{one.how}, {one.outcome}" for one in self.asked)


class Person(threading.Thread):
    """Asks until it is over. `ways` are functions (book, dice) -> Asked."""

    def __init__(self, book, seed, way, consumers, pause):
        super().__init__(daemon=True)
        self.book, self.dice = book, random.Random(seed)
        self.way, self.consumers, self.pause = way, consumers, pause

    def run(self):
        while not self.book.over.wait(self.dice.random() * self.pause):
            if not self.book.up.wait(1):
                continue
            life, one = self.book.lives, self.book.enter(self.dice.choice(self.consumers), self.way.__name__)
            began = time.monotonic()
            try:
                outcome = self.way(self.book.harness, one, self.dice)
            except Exception as error:
                outcome = f"unclear: {type(error).__name__}: {error}"
            if outcome.startswith(("unclear", "cut")) and life != self.book.lives:
                outcome = "daemon"
            one.seconds, one.outcome = time.monotonic() - began, outcome


def refused(status, text, shape):
    """The outcome of an error's body: JSON, in the shape that this protocol gives it."""
    try:
        error = json.loads(text)["error"]
        if shape == "ollama":
            return f"refused: {status}" if isinstance(error, str) and error else f"unclear: {text}"
        return f"refused: {error['code']}" if error["code"] and error["message"] else f"unclear: {text}"
    except (ValueError, KeyError, TypeError):
        return f"unclear: {status} {text[:200]}"


def openai_answer(harness, one, _):
    with harness.openai(timeout=ANSWER_SECONDS) as client:
        try:
            answer = client.chat.completions.create(model=one.consumer, messages=[], user=one.user)
        except openai.APIStatusError as error:
            return refused(error.status_code, error.response.text, "openai")
    text = answer.choices[0].message.content
    return "answered" if text.startswith("answer of ") else f"unclear: {text}"


def openai_stream(harness, one, _):
    begun, heard = False, []
    with harness.openai(timeout=ANSWER_SECONDS) as client:
        try:
            answer = client.chat.completions.create(model=one.consumer, messages=[], user=one.user, stream=True)
            begun = True
            for chunk in answer:
                heard.append(chunk.choices[0].delta.content)
        except openai.APIStatusError as error:
            return refused(error.status_code, error.response.text, "openai")
        except (openai.APIError, httpx.HTTPError) as error:
            return "cut" if begun else f"unclear: {error}"
    return "answered" if heard == WORDS else f"unclear: heard {heard}"


def ollama_stream(harness, one, _):
    heard = []
    client = ollama.Client(host=harness.url, timeout=ANSWER_SECONDS)
    try:
        for part in client.chat(model=one.consumer, messages=[], stream=True):
            heard.append(part.message.content)
    except ollama.ResponseError as error:
        return f"refused: {error.status_code}" if error.error else "unclear: an error without a word"
    except httpx.HTTPError as error:
        begun = heard or "without sending complete message body" in str(error)
        return "cut" if begun else f"unclear: {error}"
    finally:
        client._client.close()
    return "answered" if heard == WORDS else f"unclear: heard {heard}"


def embedding(harness, one, _):
    answer = httpx.post(f"{harness.url}/v1/embeddings", json={"model": one.consumer, "input": "a", "user": one.user},
                        timeout=ANSWER_SECONDS)
    if answer.status_code != 200:
        return refused(answer.status_code, answer.text, "openai")
    return "answered" if answer.json()["data"][0]["embedding"] == [0.5, 0.5] else f"unclear: {answer.text}"


def raw_stream(harness, one, dice):
    """Over a socket of its own. Every third hangs up: while it waits, or in the middle of the answer."""
    hangs_up = dice.choice(["never"] * 4 + ["soon", "after the first word"])
    client = harness.send_raw("POST", f"/c/{one.consumer}/v1/chat/completions", {"stream": True, "user": one.user})
    client.socket.settimeout(ANSWER_SECONDS)
    begun = False
    try:
        if hangs_up == "soon":
            time.sleep(dice.random() * 0.5)
            return "vanished"
        answer = http.client.HTTPResponse(client.socket)
        answer.begin()
        if answer.status != 200:
            return refused(answer.status, answer.read().decode(), "openai")
        begun = True
        if hangs_up == "after the first word":
            answer.readline()
            return "vanished"
        text = answer.read().decode()
    except (http.client.IncompleteRead, ConnectionError) as error:
        return "cut" if begun else f"unclear: {error!r}"
    finally:
        client.close()
    return "answered" if text.endswith("data: [DONE]\n\n") and text.count("word") == 5 else f"unclear: {text}"


def lease(harness, one, dice):
    """Over the API, for some milliseconds; every fourth holder vanishes, and its time to live ends it."""
    with httpx.Client(base_url=harness.url, timeout=ANSWER_SECONDS) as client:
        held = client.post("/v1/leases", json={"consumer": one.consumer, "ttl": "500ms", "who": one.user})
        if held.status_code != 200:
            return refused(held.status_code, held.text, "openai")
        time.sleep(dice.random() * 0.1)
        if dice.random() < 0.25:
            return "vanished"
        ended = client.delete(f"/v1/leases/{held.json()['id']}")
    return "answered" if ended.status_code in (200, 404) else f"unclear: {ended.text}"


class Commands:
    """`mgpu run`, whose command takes the bytes that it waited for."""

    def __init__(self, book, simgpu):
        self.book, self.simgpu = book, simgpu

    def command(self, harness, one, dice):
        with self.book.delicate:
            program = harness.start_program("run", "--consumer", one.consumer, "--wait-limit", "15s", "--", self.simgpu, "hold", "4GiB",
                                            "--", "sh", "-c", f"echo held; sleep {dice.random() * 0.3:.2f}; echo done")
            try:
                program.wait_for_output("held", ANSWER_SECONDS)
            except AssertionError:
                pass  # the exit code says why
        code = program.exit_code(ANSWER_SECONDS)
        harness.processes_started.remove(program)
        if code == 0 and "done" in program.output:
            return "answered"
        why = "wait_limit" if code == 124 else "command"
        return f"refused: {why}" if code in (124, 125) and "mgpu" in program.output else f"unclear: {code} {program.output}"
