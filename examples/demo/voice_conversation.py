"""A spoken question and its spoken answer: speech -> text -> answer -> speech, with the `openai` client."""
import dataclasses

import openai

ERRORS = (openai.OpenAIError,)


@dataclasses.dataclass
class Answer:
    question: str
    transcript: str
    text: str
    wav: bytes


def ask_aloud(client_for, wav, question, on_step=lambda: None):
    """Sends the spoken question `wav` through the three consumers. client_for(consumer) returns the OpenAI client for it;
    on_step() is called after each of the three steps."""
    transcript = client_for("stt").audio.transcriptions.create(model="stt", file=("question.wav", wav)).text
    on_step()
    # The AI model only completes texts: the prompt is the beginning of one.
    text = client_for("llm").completions.create(model="llm", prompt=f"Question: {transcript}\nAnswer:", max_tokens=24,
                                                temperature=0, stop=["\n"]).choices[0].text.strip()
    on_step()
    speech = client_for("tts").audio.speech.create(model="tts", voice="alloy", input=text or "I do not know.",
                                                   response_format="wav").content
    on_step()
    return Answer(question, transcript, text, speech)


def client(url):
    """A client that does not retry, so that errors show at once, and waits as long as the line takes."""
    return openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=300)
