"""Pages of other origins: preflights are answered at once and load nothing; only configured origins are allowed."""

PREFLIGHT = {"Origin": "app://obsidian.md", "Access-Control-Request-Method": "POST",
             "Access-Control-Request-Headers": "authorization,content-type,x-stainless-os"}
DATA_PATHS = ["/v1/chat/completions", "/v1/models", "/api/chat", "/api/tags", "/c/chat/v1/chat/completions", "/c/chat/any"]


def cors_headers(answer):
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


def test_a_preflight_of_an_allowed_origin(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")}, origins=["app://*"])
    for path in DATA_PATHS:
        answer = harness.http_client.options(path, headers=PREFLIGHT)
        allowed = cors_headers(answer)
        assert answer.status_code == 204, path
        assert allowed["access-control-allow-origin"] == "app://obsidian.md"
        assert allowed["access-control-allow-headers"] == PREFLIGHT["Access-Control-Request-Headers"]
        assert "POST" in allowed["access-control-allow-methods"]
    assert harness.state("chat") == "cold"

    answer = harness.post("/v1/chat/completions", {"model": "chat", "messages": []}, headers={"Origin": "app://obsidian.md"})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "app://obsidian.md"
    assert "X-Mgpu-Ticket" in answer.headers["access-control-expose-headers"]


def test_other_origins_are_not_allowed(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")}, origins=["https://chat.example"])
    for path in DATA_PATHS:
        answer = harness.http_client.options(path, headers=PREFLIGHT)
        assert answer.status_code == 403 and cors_headers(answer) == {}, path
    listing = harness.http_client.get("/v1/models", headers={"Origin": "https://chat.example.evil.net"})
    assert cors_headers(listing) == {}
    assert harness.state("chat") == "cold"


def test_the_control_plane_is_open_to_no_page(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")}, origins=["*"])
    for path in ("/v1/status", "/v1/leases", "/v1/consumers/chat/unload"):
        answer = harness.http_client.options(path, headers=PREFLIGHT)
        assert answer.status_code == 405 and cors_headers(answer) == {}, path


def test_a_page_of_another_origin_changes_nothing(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")}, origins=["https://chat.example"])
    harness.chat("chat")
    foreign = {"Origin": "https://evil.example", "Content-Type": "text/plain"}
    for path in ("/v1/consumers/chat/unload", "/v1/leases", "/v1/chat/completions", "/c/chat/unload"):
        answer = harness.http_client.post(path, content='{"model": "chat"}', headers=foreign)
        assert answer.status_code == 403 and "evil.example" in answer.text, path
    allowed_elsewhere = {"Origin": "https://chat.example"}
    assert harness.http_client.post("/v1/consumers/chat/unload", headers=allowed_elsewhere).status_code == 403
    assert harness.state("chat") == "warm"
    own = {"Origin": harness.url}
    assert harness.http_client.post("/v1/consumers/chat/unload", headers=own).status_code == 200
    harness.wait_for_state("chat", "cold")


def test_a_name_that_was_rebound_to_this_machine_reads_nothing(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")}, hosts=["gpu.example.org"])
    for path in ("/v1/status", "/v1/models", "/c/chat/", "/nothing"):
        answer = harness.http_client.get(path, headers={"Host": "evil.example:8090"})
        assert answer.status_code == 403 and "evil.example" in answer.text, path
    for host in ("localhost:1", "127.0.0.1", "[::1]", "box.local", "host.docker.internal:8090", "gpu.example.org"):
        assert harness.http_client.get("/v1/status", headers={"Host": host}).status_code == 200, host
