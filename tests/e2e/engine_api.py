"""A container engine for stories: Docker's API on a Unix socket, whose containers are real processes of the house."""
import http.server
import json
import os
import signal
import socketserver
import subprocess
import threading
import urllib.parse


class Container:
    """`image` says nothing here: the command is run as it is."""

    def __init__(self, house, name, command, labels=()):
        self.id, self.command, self.labels = name, command, dict(labels)
        self.house, self.child, self.output, self.grown = house, None, b"", threading.Condition()

    def start(self):
        self.output, self.silent = b"", False
        self.child = subprocess.Popen(self.command, env=self.house.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT)
        threading.Thread(target=self._read, args=[self.child], daemon=True).start()

    def _read(self, child):
        while piece := os.read(child.stdout.fileno(), 4096):
            with self.grown:
                self.output += piece
                self.grown.notify_all()
        with self.grown:
            self.silent = True
            self.grown.notify_all()

    def running(self):
        return self.child is not None and self.child.poll() is None

    def code(self):
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


class Engine:
    """engine.socket is where it listens; engine.containers are those that it has, by id (which is the name)."""

    def __init__(self, house):
        self.house, self.containers, self.socket = house, {}, str(house.folder / "engine.sock")
        engine = self

        class Handler(_Handler):
            pass

        Handler.engine = engine
        self.server = _Server(self.socket, Handler)
        house.programs.append(self)  # ends after the daemon
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def add(self, name, command, labels=()):
        self.containers[name] = Container(self.house, name, [str(word) for word in command], labels)
        return self.containers[name]

    def kill(self):
        self.server.shutdown()
        self.server.server_close()
        for container in self.containers.values():
            if container.running():
                container.child.kill()
                container.child.wait()


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # whoever hung up while we answered


class _Handler(http.server.BaseHTTPRequestHandler):
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
            return self.answer(200, [{"Id": c.id} for c in containers.values()
                                     if all(tuple(label.split("=")) in c.labels.items() for label in wanted)])
        if parts == ["containers", "create"]:
            made = json.loads(body)
            self.engine.add(query["name"], made["Cmd"], made["Labels"])
            return self.answer(201, {"Id": query["name"], "Warnings": []})
        container = containers.get(parts[1])
        if not container:
            return self.answer(404, {"message": f"No such container: {parts[1]}"})
        if self.command == "DELETE":
            del containers[container.id]
            return self.answer(204)
        return getattr(self, "on_" + parts[2])(container, query)

    def on_json(self, container, _):
        runs = container.running()
        self.answer(200, {"Id": container.id, "Config": {"Tty": False, "Labels": container.labels},
                          "State": {"Running": runs, "Paused": False, "Pid": container.child.pid if runs else 0,
                                    "ExitCode": container.code()}})

    def on_start(self, container, _):
        if container.running():
            return self.answer(304)
        container.start()
        return self.answer(204)

    def on_stop(self, container, query):
        if not container.running():
            return self.answer(304)
        container.signal(signal.SIGTERM)
        if not container.wait(int(query["t"])):
            container.signal(signal.SIGKILL)
            container.wait()
        return self.answer(204)

    def on_kill(self, container, query):
        if not container.running():
            return self.answer(409, {"message": "is not running"})
        container.signal(signal.Signals[query["signal"]])
        return self.answer(204)

    def on_wait(self, container, _):
        container.wait()
        self.answer(200, {"StatusCode": container.code()})

    def on_logs(self, container, _):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        told = 0
        while True:
            with container.grown:
                container.grown.wait_for(lambda: len(container.output) > told or container.silent)
                piece = container.output[told:]
            if not piece:
                break
            told += len(piece)
            frame = b"\1\0\0\0" + len(piece).to_bytes(4, "big") + piece
            self.wfile.write(f"{len(frame):x}\r\n".encode() + frame + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")
