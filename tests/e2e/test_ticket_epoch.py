"""Ticket numbers do not come back after a restart; a ticket of an earlier start is refused with a sentence that says so."""

EPOCH = 1_000_000_000


def new_lease(harness):
    return harness.post("/v1/leases", {"consumer": "train"}).json()["id"]


def test_a_lease_of_an_earlier_start_is_not_the_lease_of_another_client(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    assert harness.status()["epoch"] == 0
    old = new_lease(harness)
    assert old == 1
    harness.daemon.kill()

    harness.start_daemon()
    assert harness.status()["epoch"] == 1
    new = new_lease(harness)
    assert new == EPOCH + 1

    for method, path in [("DELETE", f"/v1/leases/{old}"), ("POST", f"/v1/leases/{old}/heartbeat"),
                         ("DELETE", f"/v1/line/{old}"), ("GET", f"/v1/tickets/{old}/explanation")]:
        answer = harness.http_client.request(method, path)
        assert answer.status_code == 404, path
        error = answer.json()["error"]
        assert error == {"code": "not_found", "message": f"ticket {old} is of an earlier start of the daemon"}, path
    assert [lease["id"] for lease in harness.get("/v1/leases")["leases"]] == [new]
    assert harness.http_client.delete(f"/v1/leases/{new}").status_code == 200
    harness.wait_until_quiet()


def test_without_a_store_numbers_follow_the_clock(harness):
    harness.start_with({"train": {"footprint": "4GiB"}}, store="none")
    first = new_lease(harness)
    harness.daemon.kill()

    harness.start_daemon()
    second = new_lease(harness)

    assert EPOCH < first < second < 2**53
    assert harness.http_client.delete(f"/v1/leases/{first}").status_code == 404
    assert second // EPOCH == harness.status()["epoch"]
