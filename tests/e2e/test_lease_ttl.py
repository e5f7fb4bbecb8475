"""A lease lives as long as its time to live, each heartbeat begins it anew, and DELETE ends it."""
from house import wait_until


def test_without_a_heartbeat_it_expires_and_the_next_holder_is_let_in(house):
    house.open({"train": {"kind": "batch", "footprint": "4GiB"}})
    first = house.post("/v1/leases", {"consumer": "train", "ttl": "300ms"}).json()
    assert first["ttl_ms"] == 300 and first["consumer"] == "train" and first["device"] == "gpu0"

    second = house.post("/v1/leases", {"consumer": "train", "wait_limit": "10s"}).json()

    assert second["waited_ms"] >= 200 and second["id"] > first["id"]
    gone = house.http.post(f"/v1/leases/{first['id']}/heartbeat")
    assert gone.status_code == 404 and gone.json()["error"]["code"] == "not_found"


def test_heartbeats_keep_it(house):
    house.open({"train": {"footprint": "4GiB"}})
    lease = house.post("/v1/leases", {"consumer": "train", "ttl": "600ms"}).json()
    beats = 0

    def beat_until_three_lifetimes_are_over():
        nonlocal beats
        beats += 1
        assert house.http.post(f"/v1/leases/{lease['id']}/heartbeat").status_code == 200
        [running] = house.line(stage="running")
        return running["running_ms"] > 1800

    wait_until(beat_until_three_lifetimes_are_over, "the lease to grow old")
    assert beats > 3
    wait_until(lambda: house.get("/v1/leases")["leases"] == [], "the end of a lease without heartbeats")


def test_delete_gives_it_back_once(house):
    house.open({"train": {"footprint": "4GiB"}})
    lease = house.post("/v1/leases", {"consumer": "train"}).json()
    assert [one["id"] for one in house.get("/v1/leases")["leases"]] == [lease["id"]]
    assert house.http.delete(f"/v1/leases/{lease['id']}").json() == {"id": lease["id"], "released": True}
    assert house.http.delete(f"/v1/leases/{lease['id']}").status_code == 404
    house.wait_until_quiet()
