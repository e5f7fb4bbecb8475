"""The weights of the consumer that is next are read into the page cache while another one computes."""
import os

import pytest

from daemon_harness import MiB, wait_until


@pytest.fixture
def weights_file(tmp_path):
    """A file of 64 MiB that is not in the page cache."""
    file = tmp_path / "weights.gguf"
    file.write_bytes(os.urandom(MiB) * 64)
    drop_from_page_cache(file)
    return file


def drop_from_page_cache(file):
    fd = os.open(file, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def load_sources(harness, name):
    return [data["source"] for _, data in harness.events("load_ended") if data["consumer"] == name]


def test_a_load_says_where_the_weights_came_from(harness, weights_file):
    harness.start_with({"chat": harness.fake_consumer("chat", weights=[str(weights_file)])})
    assert harness.post("/v1/consumers/chat/load").status_code == 200
    harness.post("/v1/consumers/chat/unload")
    weights_file.read_bytes()  # as a real service would; the fake one does not read it
    harness.post("/v1/consumers/chat/load")
    assert load_sources(harness, "chat") == ["cold", "cached"]


def test_who_comes_next_finds_them_cached(harness, weights_file):
    harness.start_with({"chat": harness.fake_consumer("chat", "8GiB", run_ms=2000),
                        "image": harness.fake_consumer("image", "8GiB", weights=[str(weights_file)])},
                       policy="affinity")
    chat = harness.send_raw_chat("chat")
    harness.wait_for_service_journal("start", "chat")
    image = harness.send_raw_chat("image")
    wait_until(lambda: harness.events("read_ahead"), "the weights to be read ahead")
    assert chat.status == 200 and image.status == 200
    assert load_sources(harness, "image") == ["cached"]


def test_nothing_is_read_ahead_where_nothing_may_be(harness, weights_file):
    harness.start_with({"chat": harness.fake_consumer("chat", "8GiB", run_ms=1000),
                        "image": harness.fake_consumer("image", "8GiB", weights=[str(weights_file)])},
                       policy="affinity", limits={"prefetch_memory": "0"})
    chat = harness.send_raw_chat("chat")
    harness.wait_for_service_journal("start", "chat")
    image = harness.send_raw_chat("image")
    assert chat.status == 200 and image.status == 200
    assert load_sources(harness, "image") == ["cold"]
