"""A bare lease reserves bytes without a consumer: room is made for it as for a consumer."""

from daemon_harness import wait_until


def test_idle_consumers_leave_for_it(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "8GiB")})
    harness.chat("chat")
    lease = harness.post("/v1/leases", {"bytes": "6GiB", "who": "a notebook"}).json()
    assert lease["consumer"] is None and lease["bytes"] == 6 << 30
    assert harness.state("chat") == "cold"
    [device] = harness.status()["devices"]
    assert device["turns"] == [f"ticket {lease['id']}"]
    harness.http_client.delete(f"/v1/leases/{lease['id']}")
    assert harness.chat("chat") == "answer of chat"


def test_what_its_process_allocates_is_its_own_and_not_foreign(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "4GiB")})
    holder = harness.start_program("hold", "6GiB", program="mgpu-simgpu")
    wait_until(lambda: harness.status()["devices"][0]["memory"]["foreign_bytes"] == 6 << 30, "the foreign memory to be measured")
    lease = harness.post("/v1/leases", {"bytes": "6GiB", "pid": holder.pid, "wait_limit": "5s"})
    # The memory is foreign until the lease names its pid; 6 GiB foreign and 6 GiB leased would not fit.
    assert lease.status_code == 200, lease.text
    wait_until(lambda: harness.status()["devices"][0]["memory"]["foreign_bytes"] == 0, "the memory to be attributed to the lease")
    assert harness.status()["devices"][0]["memory"]["measured_bytes"] == 6 << 30
