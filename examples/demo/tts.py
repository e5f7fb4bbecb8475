"""Text to speech: espeak-ng behind POST /v1/audio/speech, answering WAV."""
import json
import subprocess
import tempfile

import service


def speak(text):
    # To a file, not to a pipe: only then does espeak-ng write the true length into the header.
    with tempfile.NamedTemporaryFile(suffix=".wav") as wav:
        subprocess.run(["espeak-ng", "-v", "en-us", "-s", "140", "-w", wav.name, "--", text], check=True)
        return wav.read()


def main():
    options = service.arguments()
    service.load(options.footprint)
    service.serve(options.port, "/v1/audio/speech", options.working,
                  lambda _, body: ("audio/wav", speak(json.loads(body)["input"])))


if __name__ == "__main__":
    main()
