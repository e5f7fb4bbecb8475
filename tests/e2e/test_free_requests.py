"""Requests that only look, cancel or manage files take no turn, load nothing, and do not wait for those that compute."""
from daemon_harness import parse_size


def llama_consumer(harness, **options):
    return harness.fake_consumer("llama", service="llama-server", **options)


def test_they_do_not_wait_behind_a_generation(harness):
    harness.start_with({"llama": llama_consumer(harness, run_ms=60_000)})
    working = harness.send_raw_chat("llama")
    harness.wait_for_service_journal("start", "llama")
    assert harness.get("/c/llama/health") == {"status": "ok"}
    for method, path in (("GET", "/"), ("GET", "/bundle.js"), ("DELETE", "/v1/stream/1"), ("OPTIONS", "/v1/chat/completions")):
        assert "X-Mgpu-Ticket" not in harness.http_client.request(method, f"/c/llama{path}").headers
    assert harness.tickets(consumer="llama", stage="running"), "the generation still goes on"
    working.close()


def test_of_a_service_that_is_not_up_they_load_nothing(harness):
    harness.start_with({"llama": llama_consumer(harness), "tts": harness.fake_consumer("tts")})
    for name in ("llama", "tts"):
        for method, path in (("GET", "/"), ("GET", "/health"), ("HEAD", "/v1/chat/completions"),
                             ("OPTIONS", "/v1/chat/completions")):
            answer = harness.http_client.request(method, f"/c/{name}{path}")
            assert answer.status_code == 503
            if method != "HEAD":
                assert f"mgpu load {name}" in answer.text
    assert harness.state("llama") == harness.state("tts") == "cold"
    assert harness.gpu_states()[0]["used"] == 0 and not harness.events("load")


def test_a_service_that_starts_without_memory_is_started_for_them(harness):
    sizes = [f"m={parse_size('4GiB')}"]
    router = harness.fake_consumer("router", "4GiB", flags=["--llama-router", *sizes], service="llama-server", router=True,
                                   ai_models={"m": "4GiB"})
    harness.start_with({"ollama": harness.fake_ollama_consumer({"llama3": "5GiB"}), "router": router})
    assert [model["name"] for model in harness.get("/c/ollama/api/tags")["models"]] == ["llama3:latest"]
    assert [model["id"] for model in harness.get("/c/router/v1/models")["data"]] == ["m"]
    for path in ("/", "/health", "/props", "/props?model=m"):
        assert harness.http_client.get(f"/c/router{path}").status_code == 200
    assert harness.gpu_states()[0]["used"] == 0 and not harness.events("ticket_arrived")


def test_one_that_does_not_start_is_said_so(harness):
    consumer = harness.fake_ollama_consumer({"llama3": "5GiB"})
    consumer["runner"]["process"]["command"] = ["/bin/sh", "-c", "echo no such library; exit 3 # ${PORT}"]
    harness.start_with({"ollama": consumer})
    for _ in range(5):
        answer = harness.http_client.get("/c/ollama/api/tags")
        assert answer.status_code == 503 and "no such library" in answer.text
    assert harness.http_client.post("/api/generate", json={"model": "llama3", "prompt": "x"}).status_code == 503


def test_a_generic_service_says_itself_what_computes(harness):
    harness.start_with({"draw": harness.fake_consumer("draw", turn_for=["GET /v1/draw*", "POST /v1/images*"])})
    assert harness.http_client.post("/c/draw/v1/other", json={}).status_code == 503
    assert harness.http_client.get("/c/draw/v1/draw").headers["X-Mgpu-Ticket"] == "1"
    assert "X-Mgpu-Ticket" not in harness.http_client.post("/c/draw/v1/other", json={}).headers
    assert harness.http_client.head("/c/draw/v1/draw").status_code == 405
