"""Speech to text with faster-whisper, as a Wyoming service and as an HTTP server, beside an AI model that needs its room."""
import math
import struct
import wave

import pytest

from real_parts import needs
from daemon_harness import wait_until
from real_harness import TWO_AI_MODELS

pytestmark = [needs("services"), pytest.mark.timeout(600)]
NO_RESERVE = {"devices": [{"id": "gpu0", "reserve": "0"}]}


@pytest.mark.quick
def test_a_wyoming_service_loads_and_frees_its_memory(harness):
    harness.start_with({"stt": harness.wyoming_whisper(footprint="200MiB")}, gpu=TWO_AI_MODELS, **NO_RESERVE)
    assert harness.post("/v1/consumers/stt/load", timeout=200).status_code in (200, 202)
    harness.wait_for_state("stt", "warm")
    assert harness.held() > 100 << 20
    assert harness.post("/v1/consumers/stt/unload").status_code in (200, 202)
    harness.wait_for_nothing_held()


def test_an_http_server_transcribes_through_the_line(harness):
    sound = harness.folder / "tone.wav"
    with wave.open(str(sound), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(b"".join(struct.pack("<h", int(9000 * math.sin(at / 8))) for at in range(16000)))
    harness.start_with({"stt": harness.whisper_server(footprint="200MiB")}, gpu=TWO_AI_MODELS, **NO_RESERVE)
    with sound.open("rb") as file, harness.openai() as client:
        answer = client.audio.transcriptions.create(model="stt", file=file)
    assert isinstance(answer.text, str)
    assert harness.held() > 100 << 20
    harness.wait_until_quiet()


@needs("ollama")
def test_speech_makes_room_for_an_ai_model_and_comes_back(harness):
    harness.start_with({"stt": harness.wyoming_whisper(footprint="200MiB"), "ollama": harness.ollama_consumer("one")},
                       gpu="600MiB", **NO_RESERVE)
    assert harness.post("/v1/consumers/stt/load", timeout=200).status_code in (200, 202)
    harness.ask("one")
    wait_until(lambda: harness.state("stt") == "cold", "speech to have made room")
    assert harness.post("/v1/consumers/stt/load", timeout=200).status_code in (200, 202)
    harness.wait_for_resident("one:latest", "cold")
