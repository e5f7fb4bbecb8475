"""A multipart upload whose AI model is named after the sound, in the last part of a body larger than we hold in memory."""


def test_the_openai_client_transcribes(house):
    house.open({"stt": house.fake("stt", aliases=["whisper-1"])})
    with house.openai() as client:
        heard = client.audio.transcriptions.create(model="whisper-1", file=("speech.wav", b"RIFF" + bytes(100_000)))
    assert heard.text.startswith("heard 100")


def test_the_model_may_come_last_behind_a_large_file(house):
    house.open({"stt": house.fake("stt")}, limits={"body_memory": "64KiB"})
    sound = bytes(range(256)) * 12_000  # 3 MB, beyond what is kept in memory
    body = (b'--cut\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + sound +
            b'\r\n--cut\r\nContent-Disposition: form-data; name="model"\r\n\r\nstt\r\n--cut--\r\n')
    answer = house.http.post("/v1/audio/transcriptions", content=body,
                             headers={"Content-Type": "multipart/form-data; boundary=cut"})
    assert answer.status_code == 200 and answer.json() == {"text": f"heard {len(body)} bytes"}
