"""One spoken question and its spoken answer: speech -> text -> answer -> speech, with the OpenAI client that everybody uses."""
import dataclasses

import openai

ERRORS = (openai.OpenAIError,)

@dataclasses.dataclass
class Answer:
    question: str
    heard: str
    text: str
    wav: bytes


def ask(client_for, wav, question, on_step=lambda: None):
    """Asks the question that `wav` speaks. client_for(consumer) is the OpenAI client whose server answers for it.
    on_step() is called after each of the three."""
    heard = client_for("stt").audio.transcriptions.create(model="stt", file=("question.wav", wav)).text
    on_step()
    # The AI model only ever learnt to go on with a text: give it one to go on with.
    text = client_for("llm").completions.create(model="llm", prompt=f"Question: {heard}\nAnswer:", max_tokens=24,
                                                temperature=0, stop=["\n"]).choices[0].text.strip()
    on_step()
    speech = client_for("tts").audio.speech.create(model="tts", voice="alloy", input=text or "I do not know.",
                                                   response_format="wav").content
    on_step()
    return Answer(question, heard, text, speech)


def client(url):
    """A client that says at once what went wrong, and otherwise waits as long as the line takes."""
    return openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=300)
