"""A fake container engine: Docker's API on a Unix socket. Its containers are real processes."""
import http.server
import json
import os
import signal
import socketserver
import subprocess
import threading
import urllib.parse


class FakeContainer:
    """A container: its command runs as a plain process; the image is ignored."""

    def __init__(self, harness, name, command, labels=()):
        self.id, self.command, self.labels = name, command, dict(labels)
        self.harness, self.child, self.output, self.output_changed = harness, None, b"", threading.Condition()

    def start(self):
        self.output, self.output_ended = b"", False
        self.child = subprocess.Popen(self.command, env=self.harness.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT)
        threading.Thread(target=self._read, args=[self.child], daemon=True).start()

    def _read(self, child):
        while piece := os.read(child.stdout.fileno(), 4096):
            with self.output_changed:
                self.output += piece
                self.output_changed.notify_all()
        with self.output_changed:
            self.output_ended = True
            self.output_changed.notify_all()

    def is_running(self):
        return self.child is not None and self.child.poll() is None

    def exit_code(self):
        """As the engine reports it: 128 + the number of the signal that ended the process."""
        code = self.child.poll() if self.child else 0
        return 128 - code if code and code < 0 else code or 0

    def signal(self, number):
        self.child.send_signal(number)

    def wait(self, seconds=None):
        try:
            self.child.wait(seconds)
            return True
        except subprocess.TimeoutExpired:
            return False


class FakeContainerEngine:
    """`socket` is the path it listens on; `containers` are its containers by id, which is the name."""

    def __init__(self, harness):
        self.harness, self.containers, self.socket = harness, {}, str(harness.folder / "engine.sock")
        engine = self

        class Handler(_EngineRequestHandler):
            pass

        Handler.engine = engine
        self.server = _UnixHttpServer(self.socket, Handler)
        harness.processes_started.append(self)  # ends after the daemon
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def add(self, name, command, labels=()):
        self.containers[name] = FakeContainer(self.harness, name, [str(word) for word in command], labels)
        return self.containers[name]

    def kill(self):
        self.server.shutdown()
        self.server.server_close()
        for container in self.containers.values():
            if container.is_running():
                container.child.kill()
                container.child.wait()


class _UnixHttpServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # the client closed the connection during the answer


class _EngineRequestHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def address_string(self):
        return "unix"

    def answer(self, status, body=None):
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.route()

    do_POST = do_DELETE = do_GET

    def route(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        parts = url.path.split("/")[1:]
        containers = self.engine.containers
        if parts == ["_ping"]:
            return self.answer(200, "OK")
        if parts == ["containers", "json"]:
            wanted = json.loads(query["filters"])["label"]
            return self.answer(200, [{"Id": container.id} for container in containers.values()
                                     if all(tuple(label.split("=")) in container.labels.items() for label in wanted)])
        if parts == ["containers", "create"]:
            request = json.loads(body)
            self.engine.add(query["name"], request["Cmd"], request["Labels"])
            return self.answer(201, {"Id": query["name"], "Warnings": []})
        container = containers.get(parts[1])
        if not container:
            return self.answer(404, {"message": f"No such container: {parts[1]}"})
        if self.command == "DELETE":
            del containers[container.id]
            return self.answer(204)
        return getattr(self, "on_" + parts[2])(container, query)

    def on_json(self, container, _):
        is_running = container.is_running()
        self.answer(200, {"Id": container.id, "Config": {"Tty": False, "Labels": container.labels},
                          "State": {"Running": is_running, "Paused": False, "Pid": container.child.pid if is_running else 0,
                                    "ExitCode": container.exit_code()}})

    def on_start(self, container, _):
        if container.is_running():
            return self.answer(304)
        container.start()
        return self.answer(204)

    def on_stop(self, container, query):
        if not container.is_running():
            return self.answer(304)
        container.signal(signal.SIGTERM)
        if not container.wait(int(query["t"])):
            container.signal(signal.SIGKILL)
            container.wait()
        return self.answer(204)

    def on_kill(self, container, query):
        if not container.is_running():
            return self.answer(409, {"message": "is not running"})
        container.signal(signal.Signals[query["signal"]])
        return self.answer(204)

    def on_wait(self, container, _):
        container.wait()
        self.answer(200, {"StatusCode": container.exit_code()})

    def on_logs(self, container, _):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        sent_bytes = 0
        while True:
            with container.output_changed:
                container.output_changed.wait_for(lambda: len(container.output) > sent_bytes or container.output_ended)
                piece = container.output[sent_bytes:]
            if not piece:
                break
            sent_bytes += len(piece)
            frame = b"\1\0\0\0" + len(piece).to_bytes(4, "big") + piece
            self.wfile.write(f"{len(frame):x}\r\n".encode() + frame + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")
