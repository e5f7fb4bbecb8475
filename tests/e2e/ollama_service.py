"""A fake Ollama with its real storage: manifests and blobs in OLLAMA_MODELS, one runner for each file of weights.

It behaves like Ollama 0.24 where a client or the daemon can see it: names without case and with `:latest`, digests of
manifests, streams with progress, uploads whose digest is checked, errors as {"error": "text"}, `/api/ps` with the name under
which a runner was loaded, keep_alive with its own timer. A blob of weights is JSON; its "gpu_bytes" are taken from the simulated
GPU while it is loaded.

    python ollama_service.py --port 1234 [--journal FILE]
"""
import argparse
import ctypes
import datetime
import hashlib
import json
import os
import pathlib
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODELS = pathlib.Path(os.environ.get("OLLAMA_MODELS") or pathlib.Path.home() / ".ollama/models")
WEIGHTS = "application/vnd.ollama.image.model"
PARAMS = "application/vnd.ollama.image.params"
CONFIG = "application/vnd.docker.container.image.v1+json"
FOREVER = 10 ** 9
DETAILS = {"model_format": "gguf", "model_family": "llama", "model_families": ["llama"], "model_type": "3.2B",
           "file_type": "Q4_K_M"}


class Missing(Exception):
    """No such AI model; its text is the error's."""


class Refused(Exception):
    """Device memory ran out."""


# --- storage ---

def blob_path(digest):
    return MODELS / "blobs" / digest.replace(":", "-")


def add_blob(data):
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    blob_path(digest).parent.mkdir(parents=True, exist_ok=True)
    blob_path(digest).write_bytes(data)
    return digest


def split_name(name):
    """registry, namespace, name, tag"""
    path, _, last = name.rpartition("/")
    base, _, tag = last.partition(":")
    parts = path.split("/") if path else []
    if len(parts) < 1:
        parts.insert(0, "library")
    if len(parts) < 2:
        parts.insert(0, "registry.ollama.ai")
    return *parts, base, tag or "latest"


def shown_name(parts):
    registry, namespace, base, tag = parts
    prefix = "" if registry == "registry.ollama.ai" else registry + "/"
    prefix += "" if not prefix and namespace == "library" else namespace + "/"
    return f"{prefix}{base}:{tag}"


def manifests():
    """parts of the name -> path of the manifest"""
    root = MODELS / "manifests"
    return {path.relative_to(root).parts: path for path in root.glob("*/*/*/*") if path.is_file()}


def existing(name):
    """The parts of the name as they are spelled in the storage."""
    parts = split_name(name)
    for found in manifests():
        if [part.lower() for part in found] == [part.lower() for part in parts]:
            return found
    raise Missing(f"model '{name}' not found")


def read_manifest(parts):
    return json.loads((MODELS / "manifests").joinpath(*parts).read_bytes())


def write_manifest(name, weights, params=None):
    """Returns the manifest's digest."""
    layers = [{"mediaType": WEIGHTS, "digest": weights, "size": blob_path(weights).stat().st_size}]
    if params:
        data = json.dumps(params).encode()
        layers.append({"mediaType": PARAMS, "digest": add_blob(data), "size": len(data)})
    config = json.dumps(DETAILS).encode()
    manifest = json.dumps({"schemaVersion": 2, "config": {"mediaType": CONFIG, "digest": add_blob(config), "size": len(config)},
                           "layers": layers}).encode()
    path = (MODELS / "manifests").joinpath(*split_name(name))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(manifest)
    return hashlib.sha256(manifest).hexdigest()


def store_ai_model(name, gpu_bytes, params=None):
    """For tests: stores an AI model that takes so much of the device."""
    return write_manifest(name, add_blob(json.dumps({"gpu_bytes": gpu_bytes, "of": name}).encode()), params)


def layer(manifest, media_type):
    return next((each["digest"] for each in manifest["layers"] if each["mediaType"] == media_type), None)


def rfc3339(seconds):
    return datetime.datetime.fromtimestamp(min(seconds, 4e9), datetime.timezone.utc).isoformat()


def listed_entry(parts):
    path = (MODELS / "manifests").joinpath(*parts)
    manifest = read_manifest(parts)
    name = shown_name(parts)
    return {"name": name, "model": name, "modified_at": rfc3339(path.stat().st_mtime),
            "size": sum(each["size"] for each in [*manifest["layers"], manifest["config"]]),
            "digest": hashlib.sha256(path.read_bytes()).hexdigest(),
            "details": {"parent_model": "", "format": DETAILS["model_format"], "family": DETAILS["model_family"],
                        "families": DETAILS["model_families"], "parameter_size": DETAILS["model_type"],
                        "quantization_level": DETAILS["file_type"]}}


# --- runners ---

class Runners:
    """What is in device memory, by the file of weights."""

    def __init__(self, journal):
        self.journal = journal
        self.lock = threading.RLock()
        self.loaded = {}
        self.gpu = None
        if library := os.environ.get("MGPU_NVML_LIBRARY"):
            self.gpu = ctypes.CDLL(library)
            for function in (self.gpu.mgpu_simgpu_alloc, self.gpu.mgpu_simgpu_free):
                function.argtypes = [ctypes.c_uint, ctypes.c_uint64]

    def note(self, *words):
        if self.journal:
            with open(self.journal, "a") as file:
                file.write(json.dumps(words) + "\n")

    def load(self, parts, options, keep_alive):
        manifest = read_manifest(parts)
        weights = layer(manifest, WEIGHTS)
        params = layer(manifest, PARAMS)
        own = json.loads(blob_path(params).read_bytes()) if params else {}
        wanted = {**own, **(options or {})}
        with self.lock:
            runner = self.loaded.get(weights)
            if runner and runner["options"] != wanted:
                self.unload(weights)
                runner = None
            if not runner:
                size = json.loads(blob_path(weights).read_bytes())["gpu_bytes"]
                if self.gpu and self.gpu.mgpu_simgpu_alloc(0, size):
                    raise Refused("llama runner process has terminated: cudaMalloc failed: out of memory")
                self.note("load", shown_name(parts))
                runner = self.loaded[weights] = {"parts": parts, "entry": listed_entry(parts), "options": wanted, "size": size}
            runner["until"] = time.time() + keep_alive

    def unload(self, weights):
        with self.lock:
            if runner := self.loaded.pop(weights, None):
                if self.gpu:
                    self.gpu.mgpu_simgpu_free(0, runner["size"])
                self.note("unload", shown_name(runner["parts"]))

    def unload_expired(self):
        while True:
            time.sleep(0.05)
            with self.lock:
                for weights in [each for each, runner in self.loaded.items() if runner["until"] <= time.time()]:
                    self.unload(weights)

    def listed(self):
        with self.lock:
            return [{**runner["entry"], "size": runner["size"], "size_vram": runner["size"],
                     "expires_at": rfc3339(runner["until"]), "context_length": runner["options"].get("num_ctx", 4096)}
                    for runner in self.loaded.values()]


def seconds_of(keep_alive):
    """What a request's keep_alive means: seconds, or text as "5m"; negative: for ever; none: five minutes."""
    if keep_alive is None:
        return 300
    if isinstance(keep_alive, str):
        number, unit = re.fullmatch(r"(-?[\d.]+)([a-z]*)", keep_alive).groups()
        keep_alive = float(number) * {"": 1, "ms": 0.001, "s": 1, "m": 60, "h": 3600}[unit]
    return FOREVER if keep_alive < 0 else keep_alive


# --- requests ---

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    runners = None

    def log_message(self, *_):
        pass

    def body_pieces(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length", 0))
        while left:
            piece = self.rfile.read(min(left, 1 << 20))
            if not piece:
                return
            left -= len(piece)
            yield piece

    def answer(self, status, content=b"", kind="application/json; charset=utf-8"):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def answer_stream(self, request, lines):
        if request.get("stream") is False:
            return self.answer(500 if "error" in lines[-1] else 200, lines[-1])
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in lines:
            data = json.dumps(line).encode() + b"\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.write(b"0\r\n\r\n")

    def serve(self):
        path = self.path.split("?")[0]
        self.runners.note("request", self.command, path)
        if path.startswith("/api/blobs/"):
            return self.serve_blob(path.removeprefix("/api/blobs/"))
        text = b"".join(self.body_pieces())
        try:
            request = json.loads(text) if text else {}
        except ValueError as error:
            return self.answer(400, {"error": str(error)})
        name = f"serve_{self.command.replace('HEAD', 'GET').lower()}_{path.removeprefix('/').replace('/', '_')}"
        handler = getattr(self, name, None)
        if not handler:
            return self.answer(404, b"404 page not found", "text/plain")
        try:
            handler(request)
        except Missing as error:
            self.answer(404, {"error": str(error)})
        except Refused as error:
            self.answer(500, {"error": str(error)})

    do_GET = do_POST = do_HEAD = do_DELETE = serve

    def serve_blob(self, digest):
        if self.command == "HEAD":
            return self.answer(200 if blob_path(digest).exists() else 404)
        seen, size = hashlib.sha256(), 0
        (MODELS / "blobs").mkdir(parents=True, exist_ok=True)
        part = MODELS / "blobs" / f"part-{threading.get_ident()}"
        with open(part, "wb") as file:
            for piece in self.body_pieces():
                seen.update(piece)
                size += len(piece)
                file.write(piece)
        if digest != "sha256:" + seen.hexdigest():
            part.unlink()
            return self.answer(400, {"error": f'digest mismatch, expected "{digest}", got "sha256:{seen.hexdigest()}"'})
        part.rename(blob_path(digest))
        self.runners.note("blob", digest, size)
        return self.answer(201)

    def serve_get_(self, _):
        self.answer(200, b"Ollama is running", "text/plain; charset=utf-8")

    def serve_get_api_version(self, _):
        self.answer(200, {"version": "0.24.0"})

    def serve_get_api_status(self, _):
        self.answer(200, {"cloud": {"disabled": True}})

    def serve_get_api_tags(self, _):
        entries = [listed_entry(parts) for parts in manifests()]
        self.answer(200, {"models": sorted(entries, key=lambda entry: entry["modified_at"], reverse=True)})

    def serve_get_api_ps(self, _):
        self.answer(200, {"models": self.runners.listed()})

    def serve_post_api_me(self, _):
        self.answer(401, {"error": "unauthorized", "signin_url": "https://ollama.com/connect?name=x"})

    def serve_post_api_signout(self, _):
        self.answer(200)

    def serve_post_api_show(self, request):
        parts = existing(request.get("model") or request["name"])
        entry, manifest = listed_entry(parts), read_manifest(parts)
        params = layer(manifest, PARAMS)
        own = json.loads(blob_path(params).read_bytes()) if params else {}
        modelfile = f"# Modelfile generated by \"ollama show\"\n\nFROM {blob_path(layer(manifest, WEIGHTS))}\n"
        self.answer(200, {"modelfile": modelfile, "parameters": "\n".join(f"{key:30} {value}" for key, value in own.items()),
                          "template": "{{ .Prompt }}", "details": entry["details"], "modified_at": entry["modified_at"],
                          "model_info": {"general.architecture": "llama", "llama.context_length": 131072},
                          "capabilities": ["completion", "tools"]})

    def serve_post_api_copy(self, request):
        source = (MODELS / "manifests").joinpath(*existing(request["source"]))
        target = (MODELS / "manifests").joinpath(*split_name(request["destination"]))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
        self.answer(200)

    def serve_delete_api_delete(self, request):
        parts = existing(request.get("model") or request["name"])
        (MODELS / "manifests").joinpath(*parts).unlink()
        self.answer(200)

    def serve_post_api_create(self, request):
        if base := request.get("from"):
            weights = layer(read_manifest(existing(base)), WEIGHTS)
        else:
            weights = next(iter(request["files"].values()))
            if not blob_path(weights).exists():
                return self.answer(400, {"error": f"blob {weights} not found"})
        write_manifest(request.get("model") or request["name"], weights, request.get("parameters"))
        self.answer_stream(request, [{"status": "writing manifest"}, {"status": "success"}])

    def serve_post_api_pull(self, request):
        name = request.get("model") or request["name"]
        if name.startswith("missing"):
            return self.answer_stream(request, [{"status": "pulling manifest"}, {"error": "pull model manifest: file does not exist"}])
        digest = store_ai_model(name, 1 << 30)
        self.answer_stream(request, [{"status": "pulling manifest"},
                                     {"status": "pulling " + digest[:12], "digest": "sha256:" + digest, "total": 100, "completed": 100},
                                     {"status": "success"}])

    def serve_post_api_push(self, request):
        existing(request.get("model") or request["name"])
        self.answer_stream(request, [{"status": "pushing manifest"}, {"status": "success"}])

    def compute(self, request, is_empty, answer):
        parts = existing(request["model"])
        keep_alive = seconds_of(request.get("keep_alive"))
        base = {"model": request["model"], "created_at": rfc3339(time.time()), "done": True}
        if is_empty and keep_alive == 0:
            self.runners.unload(layer(read_manifest(parts), WEIGHTS))
            return self.answer(200, {**base, **answer(""), "done_reason": "unload"})
        self.runners.load(parts, request.get("options"), keep_alive or 0.01)
        if is_empty:
            return self.answer(200, {**base, **answer(""), "done_reason": "load"})
        self.runners.note("answer", request["model"])
        return self.answer_stream(request, [{**base, **answer(f"answer of {request['model']}"), "done_reason": "stop"}])

    def serve_post_api_generate(self, request):
        self.compute(request, not request.get("prompt"), lambda text: {"response": text})

    def serve_post_api_chat(self, request):
        self.compute(request, not request.get("messages"), lambda text: {"message": {"role": "assistant", "content": text}})

    def serve_post_api_embed(self, request):
        self.runners.load(existing(request["model"]), request.get("options"), seconds_of(request.get("keep_alive")))
        self.answer(200, {"model": request["model"], "embeddings": [[0.5, 0.5]] if request.get("input") else []})

    def serve_post_api_embeddings(self, request):
        self.runners.load(existing(request["model"]), request.get("options"), seconds_of(request.get("keep_alive")))
        self.answer(200, {"embedding": [0.5, 0.5]})

    def serve_post_v1_chat_completions(self, request):
        self.runners.load(existing(request["model"]), None, 300)
        self.runners.note("answer", request["model"])
        message = {"role": "assistant", "content": f"answer of {request['model']}"}
        self.answer(200, {"id": "1", "object": "chat.completion", "created": 1, "model": request["model"],
                          "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--journal")
    arguments = parser.parse_args()
    Handler.runners = Runners(arguments.journal)
    threading.Thread(target=Handler.runners.unload_expired, daemon=True).start()
    ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
