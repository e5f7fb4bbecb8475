"""Text to speech: espeak-ng behind POST /v1/audio/speech, answering WAV."""
import json
import subprocess
import tempfile

import http_service


def speak(text):
    # Into a file: espeak-ng writes the correct length into the header only if it can seek.
    with tempfile.NamedTemporaryFile(suffix=".wav") as wav:
        subprocess.run(["espeak-ng", "-v", "en-us", "-s", "140", "-w", wav.name, "--", text], check=True)
        return wav.read()


def main():
    options = http_service.parse_arguments()
    http_service.allocate_footprint(options.footprint)
    http_service.serve_posts(options.port, "/v1/audio/speech", options.working,
                             lambda _, body: ("audio/wav", speak(json.loads(body)["input"])))


if __name__ == "__main__":
    main()
