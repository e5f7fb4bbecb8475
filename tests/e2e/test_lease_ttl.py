"""A lease expires after its ttl; each heartbeat restarts the ttl, DELETE ends the lease."""
from daemon_harness import wait_until


def test_without_a_heartbeat_it_expires_and_the_next_holder_is_let_in(harness):
    harness.start_with({"train": {"kind": "batch", "footprint": "4GiB"}})
    first = harness.post("/v1/leases", {"consumer": "train", "ttl": "300ms"}).json()
    assert first["ttl_ms"] == 300 and first["consumer"] == "train" and first["device"] == "gpu0"

    second = harness.post("/v1/leases", {"consumer": "train", "wait_limit": "10s"}).json()

    assert second["waited_ms"] >= 200 and second["id"] > first["id"]
    expired = harness.http_client.post(f"/v1/leases/{first['id']}/heartbeat")
    assert expired.status_code == 404 and expired.json()["error"]["code"] == "not_found"


def test_heartbeats_keep_it(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    lease = harness.post("/v1/leases", {"consumer": "train", "ttl": "600ms"}).json()
    beats = 0

    def send_heartbeat_and_check_age():
        nonlocal beats
        beats += 1
        assert harness.http_client.post(f"/v1/leases/{lease['id']}/heartbeat").status_code == 200
        [running] = harness.tickets(stage="running")
        return running["running_ms"] > 1800

    wait_until(send_heartbeat_and_check_age, "the lease to outlive three times its ttl")
    assert beats > 3
    wait_until(lambda: harness.get("/v1/leases")["leases"] == [], "the lease to expire without heartbeats")


def test_delete_gives_it_back_once(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    lease = harness.post("/v1/leases", {"consumer": "train"}).json()
    assert [one["id"] for one in harness.get("/v1/leases")["leases"]] == [lease["id"]]
    assert harness.http_client.delete(f"/v1/leases/{lease['id']}").json() == {"id": lease["id"], "released": True}
    assert harness.http_client.delete(f"/v1/leases/{lease['id']}").status_code == 404
    harness.wait_until_quiet()
