"""A small HTTP server for one kind of work, on the standard library: GET /health, and POST on one path."""
import argparse
import http.server
import json
import sys
import threading

import simulated_gpu


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--footprint", type=simulated_gpu.parse_bytes, required=True, help="held while loaded, e.g. 5GiB")
    parser.add_argument("--working", type=simulated_gpu.parse_bytes, default=0, help="taken by each job while it runs")
    return parser.parse_args()


def allocate_footprint(footprint):
    """Allocates the memory of the weights; exits if it is refused, as a GPU program would."""
    try:
        simulated_gpu.allocate(footprint)
    except simulated_gpu.OutOfMemory as error:
        sys.exit(str(error))


def serve_posts(port, path, working, work):
    """Answers POST `path` with work(headers, body) -> (content type, bytes), one job at a time."""
    one_at_a_time = threading.Lock()

    class WorkRequestHandler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            if self.path == "/health":
                self.answer(200, "application/json", b'{"status": "ok"}')
            else:
                self.fail(404, f"no such path: {self.path}")

        def do_POST(self):
            body = self.read_body()
            if self.path != path:
                return self.fail(404, f"no such path: {self.path}")
            try:
                with one_at_a_time, simulated_gpu.allocated(working):
                    content_type, answer = work(self.headers, body)
            except simulated_gpu.OutOfMemory as error:
                return self.fail(500, str(error))
            except Exception as error:  # of the libraries: it becomes the answer
                return self.fail(500, f"{type(error).__name__}: {error}")
            self.answer(200, content_type, answer)

        def read_body(self):
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():  # trailers
                pass
            return body

        def fail(self, status, message):
            error = {"error": {"message": message, "type": "server_error", "code": None}}
            self.answer(status, "application/json", json.dumps(error).encode())

        def answer(self, status, content_type, body):
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    http.server.ThreadingHTTPServer(("127.0.0.1", port), WorkRequestHandler).serve_forever()
