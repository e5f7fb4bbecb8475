"""Request bodies with a Content-Encoding: the AI model is found in them, and the service receives plain text."""
import gzip
import json
import zlib

import brotli
import pytest
import zstandard

ENCODERS = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress,
            "zstd": zstandard.ZstdCompressor(level=19).compress}


@pytest.mark.parametrize("encoding", ENCODERS)
def test_a_compressed_body_reaches_its_consumer_decoded(harness, encoding):
    harness.start_with({"chat": harness.fake_consumer("chat")})
    body = json.dumps({"messages": [{"role": "user", "content": "x" * 100_000}], "model": "chat"}).encode()
    encoded = ENCODERS[encoding](body)
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    answer = harness.http_client.post("/v1/chat/completions", content=encoded, headers=headers)
    assert answer.status_code == 200, answer.text
    echoed = harness.http_client.post("/c/chat/echo", content=encoded, headers=headers)
    assert echoed.content == body


def test_a_body_that_unpacks_beyond_max_body(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")}, limits={"max_body": "1MiB"})
    body = gzip.compress(json.dumps({"prompt": "x" * 500_000_000, "model": "chat"}).encode(), 9)
    answer = harness.http_client.post("/v1/completions", content=body, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 413 and "max_body" in answer.json()["error"]["message"]
    assert harness.chat("chat") == "answer of chat"


def test_what_is_not_encoded_as_it_says_is_an_error_of_the_client(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")})
    answer = harness.http_client.post("/v1/completions", content=b'{"model": "chat"}', headers={"Content-Encoding": "zstd"})
    assert answer.status_code == 400 and "zstd" in answer.json()["error"]["message"]
    assert harness.service_journal() == []
