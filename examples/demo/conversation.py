"""One spoken question and its spoken answer: speech -> text -> answer -> speech, with the OpenAI client that everybody uses."""
import dataclasses
import re

import openai

ERRORS = (openai.OpenAIError,)

@dataclasses.dataclass
class Step:
    """One request: what it was for, and how long it waited for its turn (None where nobody keeps a line)."""
    consumer: str
    wait_ms: float | None


@dataclasses.dataclass
class Answer:
    question: str
    heard: str
    text: str
    wav: bytes


def ask(client_for, wav, question, on_step=lambda step: None):
    """Asks the question that `wav` speaks. client_for(consumer) is the OpenAI client whose server answers for it."""
    def step(consumer, request):
        answer = request(client_for(consumer))
        on_step(Step(consumer, waited(answer.headers)))
        return answer

    heard = step("stt", lambda client: client.audio.transcriptions.with_raw_response.create(
        model="stt", file=("question.wav", wav))).parse().text
    # The AI model only ever learnt to go on with a text: give it one to go on with.
    text = step("llm", lambda client: client.completions.with_raw_response.create(
        model="llm", prompt=f"Question: {heard}\nAnswer:", max_tokens=24, temperature=0,
        stop=["\n"])).parse().choices[0].text.strip()
    speech = step("tts", lambda client: client.audio.speech.with_raw_response.create(
        model="tts", voice="alloy", input=text or "I do not know.", response_format="wav"))
    return Answer(question, heard, text, speech.content)


def client(url):
    """A client that says at once what went wrong, and otherwise waits as long as the line takes."""
    return openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=300)


def waited(headers):
    """The wait for the turn, as Server-Timing tells it: in the line, and until room was made and the service loaded."""
    parts = dict(re.findall(r"(\w+);\s*dur=([\d.]+)", headers.get("Server-Timing", "")))
    return float(parts["queue"]) + float(parts.get("load", 0)) if "queue" in parts else None
