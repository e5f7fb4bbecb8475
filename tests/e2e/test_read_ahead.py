"""The weights of whoever comes next are read into the page cache while another computes."""
import os

import pytest

from house import MiB, wait_until


@pytest.fixture
def weights(tmp_path):
    """A file on the disk, and nothing of it in the page cache."""
    file = tmp_path / "weights.gguf"
    file.write_bytes(os.urandom(MiB) * 64)
    drop(file)
    return file


def drop(file):
    fd = os.open(file, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def sources(house, name):
    return [data["source"] for _, data in house.events("load_ended") if data["consumer"] == name]


def test_a_load_says_where_the_weights_came_from(house, weights):
    house.open({"chat": house.fake("chat", weights=[str(weights)])})
    assert house.post("/v1/consumers/chat/load").status_code == 200
    house.post("/v1/consumers/chat/unload")
    weights.read_bytes()  # as whoever loads it does; the fake has no use for it
    house.post("/v1/consumers/chat/load")
    assert sources(house, "chat") == ["cold", "cached"]


def test_who_comes_next_finds_them_cached(house, weights):
    house.open({"chat": house.fake("chat", "8GiB", run_ms=2000), "image": house.fake("image", "8GiB", weights=[str(weights)])},
               policy="affinity")
    chat = house.raw_chat("chat")
    house.wait_for_journal("start", "chat")
    image = house.raw_chat("image")
    wait_until(lambda: house.events("read_ahead"), "the weights to be read ahead")
    assert chat.status == 200 and image.status == 200
    assert sources(house, "image") == ["cached"]


def test_nothing_is_read_ahead_where_nothing_may_be(house, weights):
    house.open({"chat": house.fake("chat", "8GiB", run_ms=1000), "image": house.fake("image", "8GiB", weights=[str(weights)])},
               policy="affinity", limits={"prefetch_memory": "0"})
    chat = house.raw_chat("chat")
    house.wait_for_journal("start", "chat")
    image = house.raw_chat("image")
    assert chat.status == 200 and image.status == 200
    assert sources(house, "image") == ["cold"]
