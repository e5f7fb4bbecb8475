"""A bare lease reserves bytes without being a consumer: room is made for it as for everybody."""

from house import wait_until


def test_idle_consumers_leave_for_it(house):
    house.open({"chat": house.fake("chat", "8GiB")})
    house.ask("chat")
    lease = house.post("/v1/leases", {"bytes": "6GiB", "who": "a notebook"}).json()
    assert lease["consumer"] is None and lease["bytes"] == 6 << 30
    assert house.state("chat") == "cold"
    [device] = house.status()["devices"]
    assert device["turns"] == [f"ticket {lease['id']}"]
    house.http.delete(f"/v1/leases/{lease['id']}")
    assert house.ask("chat") == "answer of chat"


def test_what_its_process_allocates_is_its_own_and_not_foreign(house):
    house.open({"chat": house.fake("chat", "4GiB")})
    holder = house.start("hold", "6GiB", program="mgpu-simgpu")
    wait_until(lambda: house.status()["devices"][0]["memory"]["foreign_bytes"] == 6 << 30, "the driver to show it")
    lease = house.post("/v1/leases", {"bytes": "6GiB", "pid": holder.pid, "wait_limit": "5s"})
    # It was foreign until the lease said whose it is; both at once would not fit.
    assert lease.status_code == 200, lease.text
    wait_until(lambda: house.status()["devices"][0]["memory"]["foreign_bytes"] == 0, "the driver's bytes to be the lease's")
    assert house.status()["devices"][0]["memory"]["measured_bytes"] == 6 << 30
