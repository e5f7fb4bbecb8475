"""A small request through the gateway to a warm consumer, compared with nginx and haproxy in front of the same server.

The proxy under test runs alone on the first core; the upstream server (nginx with a fixed answer) and the load generator
(wrk) share the last one. With one core, all share it.
"""
import json
import subprocess

from bench_environment import BenchEnvironment, cores, free_port, is_listening, wait_until
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


def start_server(environment, core):
    port = free_port()
    environment.nginx(f"default_type application/json;"
                      f"server {{ listen 127.0.0.1:{port}; location / {{ return 200 '{ANSWER}'; }} }}", core)
    wait_until(lambda: is_listening(port), "the upstream server to listen")
    return port


def start_nginx(environment, upstream_port, core):
    port = free_port()
    environment.nginx(f"upstream behind {{ server 127.0.0.1:{upstream_port}; keepalive {2 * CONNECTIONS};"
                      " keepalive_requests 100000000; }"
                      f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://behind; proxy_http_version 1.1;"
                      " proxy_set_header Connection ''; } }", core)
    return port


def start_haproxy(environment, upstream_port, core):
    port = free_port()
    file = environment.folder / "haproxy.cfg"
    file.write_text("global\n nbthread 1\ndefaults\n mode http\n http-reuse always\n timeout connect 5s\n"
                    " timeout client 60s\n timeout server 60s\n"
                    f"frontend front\n bind 127.0.0.1:{port}\n default_backend behind\n"
                    f"backend behind\n server one 127.0.0.1:{upstream_port}\n")
    environment.start("haproxy", "-db", "-f", file, core=core)
    return port


def start_mgpu(environment, upstream_port, core):
    daemon = environment.daemon({"bench": {"service": "generic", "url": f"http://127.0.0.1:{upstream_port}", "footprint": "1GiB",
                                           "concurrency": 4 * CONNECTIONS}}, core)
    return daemon.port


def run_wrk(environment, port, connections, core):
    script = environment.folder / "post.lua"
    script.write_text(WRK)
    result = subprocess.run(["taskset", "-c", str(core), "wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "-s", script,
                             f"http://127.0.0.1:{port}/v1/chat/completions"], check=True, capture_output=True, text=True)
    figures = json.loads(result.stdout.partition("JSON ")[2])
    if figures["bad"]:
        raise RuntimeError(f"{figures['bad']} requests failed:\n{result.stdout}")
    return figures


def measure():
    proxy_core, load_core = cores()[0], cores()[-1]
    rows = []
    with BenchEnvironment() as environment:
        upstream_port = start_server(environment, load_core)
        ports = {"no proxy": upstream_port,
                 "nginx": start_nginx(environment, upstream_port, proxy_core),
                 "haproxy": start_haproxy(environment, upstream_port, proxy_core),
                 "mgpu": start_mgpu(environment, upstream_port, proxy_core)}
        for name, port in ports.items():
            wait_until(lambda: is_listening(port), f"{name} to listen")
            parallel = run_wrk(environment, port, CONNECTIONS, load_core)
            single = run_wrk(environment, port, 1, load_core)
            rows.append([name, f"{parallel['a_second']:,.0f}", f"{parallel['p50']:.2f} ms", f"{parallel['p99']:.2f} ms",
                         f"{single['p50'] * 1000:.0f} µs", f"{single['p99'] * 1000:.0f} µs"])
    return Result(["through", f"requests a second, {CONNECTIONS} connections", "p50", "p99", "p50, one connection", "p99"],
                  rows, "The proxy alone on one core; wrk (one thread) and the upstream server share another; "
                        f"{SECONDS} s each.")
