"""A small request through the gateway to a warm consumer, beside nginx and haproxy in front of the same server.

The proxy under test has the first core for itself; the server behind it (nginx with a fixed answer) and the load
(wrk) share the second. Where there is one core only, all share it.
"""
import json
import subprocess

from ground import Ground, cores, free_port, listens, wait_until
from report import Result

CONNECTIONS = 32
SECONDS = 5
ANSWER = json.dumps({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "bench",
                     "choices": [{"index": 0, "finish_reason": "stop",
                                  "message": {"role": "assistant", "content": "It is noon."}}],
                     "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}})
QUESTION = json.dumps({"model": "bench", "messages": [{"role": "user", "content": "What time is it?"}]})
WRK = f"""
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [[{QUESTION}]]
done = function(summary, latency, requests)
  local bad = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status + summary.errors.timeout
  io.write(string.format('\\nJSON {{"a_second": %f, "p50": %f, "p99": %f, "bad": %d}}\\n',
    summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1000, latency:percentile(99) / 1000, bad))
end
"""

def server(ground, core):
    port = free_port()
    ground.nginx(f"default_type application/json; server {{ listen 127.0.0.1:{port}; location / {{ return 200 '{ANSWER}'; }} }}",
                 core)
    wait_until(lambda: listens(port), "the server behind the proxies")
    return port


def nginx(ground, behind, core):
    port = free_port()
    ground.nginx(f"upstream behind {{ server 127.0.0.1:{behind}; keepalive {2 * CONNECTIONS}; keepalive_requests 100000000; }}"
                 f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://behind; proxy_http_version 1.1;"
                 " proxy_set_header Connection ''; } }", core)
    return port


def haproxy(ground, behind, core):
    port = free_port()
    file = ground.folder / "haproxy.cfg"
    file.write_text("global\n nbthread 1\ndefaults\n mode http\n http-reuse always\n timeout connect 5s\n"
                    " timeout client 60s\n timeout server 60s\n"
                    f"frontend front\n bind 127.0.0.1:{port}\n default_backend behind\n"
                    f"backend behind\n server one 127.0.0.1:{behind}\n")
    ground.start("haproxy", "-db", "-f", file, core=core)
    return port


def mgpu(ground, behind, core):
    daemon = ground.daemon({"bench": {"service": "generic", "url": f"http://127.0.0.1:{behind}", "footprint": "1GiB",
                                      "concurrency": 4 * CONNECTIONS}}, core)
    return daemon.port


def load(ground, port, connections, core):
    script = ground.folder / "post.lua"
    script.write_text(WRK)
    told = subprocess.run(["taskset", "-c", str(core), "wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "-s", script,
                           f"http://127.0.0.1:{port}/v1/chat/completions"], check=True, capture_output=True, text=True)
    seen = json.loads(told.stdout.partition("JSON ")[2])
    if seen["bad"]:
        raise RuntimeError(f"{seen['bad']} requests failed:\n{told.stdout}")
    return seen


def measure():
    one, other = cores()[0], cores()[-1]
    rows = []
    with Ground() as ground:
        behind = server(ground, other)
        ways = {"no proxy": behind, "nginx": nginx(ground, behind, one), "haproxy": haproxy(ground, behind, one),
                "mgpu": mgpu(ground, behind, one)}
        for name, port in ways.items():
            wait_until(lambda: listens(port), name)
            many, alone = load(ground, port, CONNECTIONS, other), load(ground, port, 1, other)
            rows.append([name, f"{many['a_second']:,.0f}", f"{many['p50']:.2f} ms", f"{many['p99']:.2f} ms",
                         f"{alone['p50'] * 1000:.0f} µs", f"{alone['p99'] * 1000:.0f} µs"])
    return Result(["through", f"requests a second, {CONNECTIONS} connections", "p50", "p99", "p50, one connection", "p99"],
                  rows, "The proxy alone on one core; wrk (one thread) and the server behind share another; "
                        f"{SECONDS} s each.")
