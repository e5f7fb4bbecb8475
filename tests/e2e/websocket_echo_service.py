"""A service for test_upgrade: answers GET /health with 200, and each WebSocket message with "you said ..."."""
import http
import signal
import sys

from websockets.sync.server import serve


def answer_health(connection, request):
    return connection.respond(http.HTTPStatus.OK, "fine\n") if request.path == "/health" else None


def echo_messages(connection):
    for message in connection:
        connection.send("you said " + message)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
with serve(echo_messages, "127.0.0.1", int(sys.argv[1]), process_request=answer_health) as server:
    server.serve_forever()
