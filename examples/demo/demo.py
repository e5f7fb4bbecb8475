"""A voice assistant that does not fit its GPU: `./dev demo`.

Two people ask questions aloud. Each goes speech -> text -> answer -> speech through the daemon's OpenAI routes to three
consumers that together need far more than the 12 GiB of the (simulated) GPU, while a batch job waits for its turn as
well, and in the middle a game that asks nobody takes 3 GiB and later returns them. The GPU refuses what does not fit, as CUDA would, and counts it: at the end that count must be 0.

--without-mgpu does the same with nobody in front, and shows what happens then.
"""
import argparse
import json
import signal
import statistics
import sys
import threading
import time
import urllib.request

import conversation
import house
import story
import unmanaged
import view

CONFIG = house.TREE / "examples" / "demo" / "mgpu.yaml"
GPU_SIZE = "12GiB"
PEOPLE = {
    "Ada": ["What is the capital of France?", "What color is the sky?"],
    "Linus": ["Who wrote Romeo and Juliet?", "Who painted the Mona Lisa?"],
}
BATCH_BYTES = "6GiB"
BATCH_SECONDS = "2"
GAME_BYTES = "3GiB"  # beside it the largest of the three still fits
GAME_SIZE = 3 << 30
GAME_STEPS = 3  # so many steps of the conversations are made beside it, at least


def main():
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print only the summary, as one JSON object")
    parser.add_argument("--without-mgpu", action="store_true", help="the same consumers with nobody in front")
    parser.add_argument("--build", default="build/release", help="where the programs were built")
    options = parser.parse_args()
    # Both unwind, so that everything is stopped; also where a shell started us in the background with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    eyes = view.choose(options.json, daemon=not options.without_mgpu)
    try:
        with house.House(options.build) as home:
            summary = unmanaged.run(home, eyes, PEOPLE, GPU_SIZE) if options.without_mgpu else managed(home, eyes)
    except house.Failed as reason:
        eyes.close()
        print(f"demo: {reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        eyes.close()
        print("demo: interrupted; everything is stopped", file=sys.stderr)
        return 130
    print(json.dumps(summary, indent=2) if options.json else as_text(summary))
    return 0 if summary["ok"] else 1


def managed(home, eyes):
    home.make_gpu(GPU_SIZE)
    voices = {question: home.voice(question) for questions in PEOPLE.values() for question in questions}
    eyes.tell(f"a simulated GPU of {GPU_SIZE}; stt wants 5 GiB, llm 8 GiB, tts 7 GiB, a batch job {BATCH_BYTES}")

    began = time.monotonic()
    daemon, url = home.start_daemon(CONFIG)
    events = story.Story(url, eyes.tell)
    eyes.watch(url)

    answers, problems = [], []
    first_step = threading.Event()
    steps = []

    def on_step():
        steps.append(time.monotonic())
        first_step.set()

    def person(name, questions):
        client = conversation.client(url)
        for question in questions:
            try:
                answer = conversation.ask(lambda _: client, voices[question], question, on_step)
            except conversation.ERRORS as error:
                problems.append(f"{name}: {question}: {error}")
                first_step.set()
                continue
            answers.append(answer)
            eyes.tell(f'{name} asked "{answer.heard}" and hears "{answer.text}"')
            problems.extend(what_is_wrong(answer))

    people = [threading.Thread(target=person, args=item, daemon=True) for item in PEOPLE.items()]
    for one in people:
        one.start()
    while not first_step.wait(0.2):  # a wait without a limit would not hear Ctrl-C
        pass
    simgpu = home.programs / "mgpu-simgpu"
    batch = home.start(home.programs / "mgpu", "run", "--bytes", BATCH_BYTES, "--",
                       simgpu, "hold", BATCH_BYTES, "--", "sleep", BATCH_SECONDS)
    game = Game(home, url, eyes.tell)
    for one in people:
        while one.is_alive():
            one.join(0.1)
            game.look(len(steps))
    problems.extend(game.end())
    if batch.child.wait(120) != 0:
        problems.append(f"the batch job ended with {batch.child.returncode}: {' '.join(batch.lines[-3:])}")

    status = when_idle(url)
    seconds = time.monotonic() - began
    eyes.close()
    if not daemon.stop() or daemon.child.returncode != 0:
        problems.append(f"the daemon ended with {daemon.child.returncode}: {' '.join(daemon.lines[-3:])}")
    gpu = home.gpu()
    if gpu["processes"]:
        problems.append(f"somebody still holds memory: {gpu['processes']}")
    if gpu["oom_count"]:
        problems.append(f"{gpu['oom_count']} allocations were refused")
    if len(answers) < sum(map(len, PEOPLE.values())) and not problems:
        problems.append(f"only {len(answers)} questions were answered")
    if not events.counts["evicted"]:
        problems.append("nobody was evicted, so this was no test")

    waits = events.waits_ms
    return {
        "ok": not problems,
        "turns": status["total_jobs"],
        "loads": events.counts["load"],
        "evictions": events.counts["evicted"],
        "oom_refusals": gpu["oom_count"],
        "foreign_bytes_peak": game.peak,
        "wait_ms_p50": round(statistics.median(waits), 1) if waits else None,
        "wait_ms_p95": round(statistics.quantiles(waits, n=20, method="inclusive")[-1], 1) if len(waits) > 1 else None,
        "answers": [answer.text for answer in answers],
        "questions": [answer.heard for answer in answers],
        "seconds": round(seconds, 1),
        "problems": problems,
    }


class Game:
    """It begins when it is made, and ends once the others went on beside it. look() is to be called often."""

    def __init__(self, home, url, tell):
        self.url, self.tell = url, tell
        self.peak = 0
        self.named = False
        self.ends_at = None  # steps of the conversations
        tell(f"a game starts that asks nobody, and wants {GAME_BYTES}")
        self.process = home.start("python", "examples/demo/game.py", "--bytes", GAME_BYTES)

    def look(self, steps):
        memory = status_of(self.url)["devices"][0]["memory"]
        self.peak = max(self.peak, memory["foreign_bytes"])
        if memory["foreign_processes"] and not self.named:
            self.named = True
            self.tell(f"foreign memory: {', '.join(process['command'] for process in memory['foreign_processes'])}")
        if self.peak >= GAME_SIZE and self.ends_at is None:
            self.ends_at = steps + GAME_STEPS
            self.tell("the game has its memory; the others go on beside it")
        if self.ends_at is not None and steps >= self.ends_at and self.process.child.poll() is None:
            self.process.stop()
            self.tell("the game is over")

    def end(self):
        """What was wrong with it."""
        self.process.stop()
        if self.peak < GAME_SIZE:
            yield f"of the game's {GAME_BYTES} only {self.peak} bytes were seen: {' '.join(self.process.lines[-3:])}"


def what_is_wrong(answer):
    if not answer.heard or not answer.text:
        yield f"{answer.question}: heard {answer.heard!r}, answered {answer.text!r}"
    if not answer.wav.startswith(b"RIFF"):
        yield f"{answer.question}: the spoken answer is no WAV"


def status_of(url):
    with urllib.request.urlopen(f"{url}/v1/status", timeout=10) as answer:
        return json.load(answer)


def when_idle(url):
    """The status once the last turn is given back: an answer reaches its client a moment before that."""
    for _ in range(100):
        status = status_of(url)
        if status["in_flight"] == 0 and status["queue_depth"] == 0:
            return status
        time.sleep(0.05)
    raise house.Failed("all answers have come, but the daemon does not become idle")


def as_text(summary):
    names = {"turns": "turns", "loads": "loads", "evictions": "evictions", "wait_ms_p50": "wait, median (ms)",
             "wait_ms_p95": "wait, 95th percentile (ms)", "seconds": "seconds", "unanswered": "questions without an answer",
             "foreign_gib": "of the game at most (GiB)", "oom_refusals": "out-of-memory refusals"}
    if "foreign_bytes_peak" in summary:
        summary = {**summary, "foreign_gib": round(summary["foreign_bytes_peak"] / 2**30, 1)}
    lines = [""] + [f"  {text:<28}{summary[name]}" for name, text in names.items() if name in summary]
    lines += [f"  {question}  ->  {answer}" for question, answer in zip(summary["questions"], summary["answers"])]
    lines += [f"  went wrong: {problem}" for problem in summary["problems"]]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
