"""A multipart upload whose AI model is named after the file, in a body larger than the daemon keeps in memory."""


def test_the_openai_client_transcribes(harness):
    harness.start_with({"stt": harness.fake_consumer("stt", aliases=["whisper-1"])})
    with harness.openai() as client:
        transcript = client.audio.transcriptions.create(model="whisper-1", file=("speech.wav", b"RIFF" + bytes(100_000)))
    assert transcript.text.startswith("heard 100")


def test_the_model_may_come_last_behind_a_large_file(harness):
    harness.start_with({"stt": harness.fake_consumer("stt")}, limits={"body_memory": "64KiB"})
    sound = bytes(range(256)) * 12_000  # 3 MB, more than body_memory
    body = (b'--cut\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + sound +
            b'\r\n--cut\r\nContent-Disposition: form-data; name="model"\r\n\r\nstt\r\n--cut--\r\n')
    answer = harness.http_client.post("/v1/audio/transcriptions", content=body,
                                      headers={"Content-Type": "multipart/form-data; boundary=cut"})
    assert answer.status_code == 200 and answer.json() == {"text": f"heard {len(body)} bytes"}
