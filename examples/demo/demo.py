"""A voice assistant that does not fit its GPU: `./dev demo`.

Two people ask spoken questions. Each goes speech -> text -> answer -> speech through the daemon's OpenAI routes to three
consumers that together need far more than the 12 GiB of the (simulated) GPU. A batch job waits for its turn as well, and a
foreign program, a game, allocates 3 GiB in the middle and frees them later. The GPU refuses an allocation that does not
fit, as CUDA would, and counts it: at the end that count must be 0.

--without-mgpu runs the same consumers without the daemon, and shows the difference.
"""
import argparse
import json
import signal
import statistics
import sys
import threading
import time
import urllib.request

import display as displays
import voice_conversation
from demo_environment import TREE, DemoEnvironment, DemoError
from event_narrator import EventNarrator
from without_mgpu import run_without_mgpu

CONFIG = TREE / "examples" / "demo" / "mgpu.yaml"
GPU_SIZE = "12GiB"
QUESTIONS = {
    "Ada": ["What is the capital of France?", "What color is the sky?"],
    "Linus": ["Who wrote Romeo and Juliet?", "Who painted the Mona Lisa?"],
}
BATCH_BYTES = "6GiB"
BATCH_SECONDS = "2"
FOREIGN_BYTES = "3GiB"  # the largest of the three consumers still fits beside it
FOREIGN_SIZE = 3 << 30
FOREIGN_STEPS = 3  # the conversations make at least so many steps beside it


def main():
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print only the summary, as one JSON object")
    parser.add_argument("--without-mgpu", action="store_true", help="run the same consumers without the daemon")
    parser.add_argument("--build", default="build/release", help="the build folder of the programs")
    options = parser.parse_args()
    # Both signals raise an exception, so that every process is stopped. A shell starts background jobs with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    display = displays.create_display(options.json, daemon=not options.without_mgpu)
    try:
        with DemoEnvironment(options.build) as environment:
            if options.without_mgpu:
                summary = run_without_mgpu(environment, display, QUESTIONS, GPU_SIZE)
            else:
                summary = run_with_mgpu(environment, display)
    except DemoError as error:
        display.close()
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        display.close()
        print("demo: interrupted; everything is stopped", file=sys.stderr)
        return 130
    print(json.dumps(summary, indent=2) if options.json else format_summary(summary))
    return 0 if summary["ok"] else 1


def run_with_mgpu(environment, display):
    environment.create_gpu(GPU_SIZE)
    questions_spoken = {question: environment.synthesize_question(question)
                        for questions in QUESTIONS.values() for question in questions}
    display.show_message(f"a simulated GPU of {GPU_SIZE}; stt needs 5 GiB, llm 8 GiB, tts 7 GiB, a batch job {BATCH_BYTES}")

    began = time.monotonic()
    daemon, url = environment.start_daemon(CONFIG)
    events = EventNarrator(url, display.show_message)
    display.watch(url)

    answers, problems = [], []
    first_step = threading.Event()
    steps = []

    def on_step():
        steps.append(time.monotonic())
        first_step.set()

    def ask_questions(name, questions):
        client = voice_conversation.client(url)
        for question in questions:
            try:
                answer = voice_conversation.ask_aloud(lambda _: client, questions_spoken[question], question, on_step)
            except voice_conversation.ERRORS as error:
                problems.append(f"{name}: {question}: {error}")
                first_step.set()
                continue
            answers.append(answer)
            display.show_message(f'{name} asked "{answer.transcript}" and hears "{answer.text}"')
            problems.extend(answer_problems(answer))

    threads = [threading.Thread(target=ask_questions, args=item, daemon=True) for item in QUESTIONS.items()]
    for thread in threads:
        thread.start()
    while not first_step.wait(0.2):  # a wait without a limit would block Ctrl-C
        pass
    simgpu = environment.programs / "mgpu-simgpu"
    batch = environment.start(environment.programs / "mgpu", "run", "--bytes", BATCH_BYTES, "--",
                              simgpu, "hold", BATCH_BYTES, "--", "sleep", BATCH_SECONDS)
    foreign_program = ForeignProgram(environment, url, display.show_message)
    for thread in threads:
        while thread.is_alive():
            thread.join(0.1)
            foreign_program.update(len(steps))
    problems.extend(foreign_program.stop_and_check())
    if batch.child.wait(120) != 0:
        problems.append(f"the batch job ended with {batch.child.returncode}: {' '.join(batch.lines[-3:])}")

    status = status_when_idle(url)
    seconds = time.monotonic() - began
    display.close()
    if not daemon.stop() or daemon.child.returncode != 0:
        problems.append(f"the daemon ended with {daemon.child.returncode}: {' '.join(daemon.lines[-3:])}")
    gpu = environment.gpu()
    if gpu["processes"]:
        problems.append(f"memory is still allocated: {gpu['processes']}")
    if gpu["oom_count"]:
        problems.append(f"{gpu['oom_count']} allocations were refused")
    if len(answers) < sum(map(len, QUESTIONS.values())) and not problems:
        problems.append(f"only {len(answers)} questions were answered")
    if not events.counts["evicted"]:
        problems.append("there was no eviction, so the run shows nothing")

    waits = events.waits_ms
    return {
        "ok": not problems,
        "turns": status["total_jobs"],
        "loads": events.counts["load"],
        "evictions": events.counts["evicted"],
        "oom_refusals": gpu["oom_count"],
        "foreign_bytes_peak": foreign_program.peak,
        "wait_ms_p50": round(statistics.median(waits), 1) if waits else None,
        "wait_ms_p95": round(statistics.quantiles(waits, n=20, method="inclusive")[-1], 1) if len(waits) > 1 else None,
        "answers": [answer.text for answer in answers],
        "questions": [answer.transcript for answer in answers],
        "seconds": round(seconds, 1),
        "problems": problems,
    }


class ForeignProgram:
    """Starts the foreign program, and stops it once the conversations have made progress beside it. Call update() often."""

    def __init__(self, environment, url, show_message):
        self.url, self.show_message = url, show_message
        self.peak = 0
        self.is_announced = False
        self.last_step = None  # the step of the conversations at which it is stopped
        show_message(f"a game starts outside mgpu, and allocates {FOREIGN_BYTES}")
        self.process = environment.start("python", "examples/demo/foreign_program.py", "--bytes", FOREIGN_BYTES)

    def update(self, steps):
        memory = status_of(self.url)["devices"][0]["memory"]
        self.peak = max(self.peak, memory["foreign_bytes"])
        if memory["foreign_processes"] and not self.is_announced:
            self.is_announced = True
            self.show_message(f"foreign memory: {', '.join(process['command'] for process in memory['foreign_processes'])}")
        if self.peak >= FOREIGN_SIZE and self.last_step is None:
            self.last_step = steps + FOREIGN_STEPS
            self.show_message("the game has its memory; the consumers go on beside it")
        if self.last_step is not None and steps >= self.last_step and self.process.child.poll() is None:
            self.process.stop()
            self.show_message("the game has ended")

    def stop_and_check(self):
        """Stops it; yields what went wrong."""
        self.process.stop()
        if self.peak < FOREIGN_SIZE:
            yield f"of the game's {FOREIGN_BYTES} only {self.peak} bytes were measured: {' '.join(self.process.lines[-3:])}"


def answer_problems(answer):
    """What is wrong with an answer, as sentences."""
    if not answer.transcript or not answer.text:
        yield f"{answer.question}: heard {answer.transcript!r}, answered {answer.text!r}"
    if not answer.wav.startswith(b"RIFF"):
        yield f"{answer.question}: the spoken answer is no WAV"


def status_of(url):
    with urllib.request.urlopen(f"{url}/v1/status", timeout=10) as answer:
        return json.load(answer)


def status_when_idle(url):
    """The status once every turn is free, which is shortly after the last answer reached its client."""
    for _ in range(100):
        status = status_of(url)
        if status["in_flight"] == 0 and status["queue_depth"] == 0:
            return status
        time.sleep(0.05)
    raise DemoError("all answers have arrived, but the daemon does not become idle")


def format_summary(summary):
    names = {"turns": "turns", "loads": "loads", "evictions": "evictions", "wait_ms_p50": "wait, median (ms)",
             "wait_ms_p95": "wait, 95th percentile (ms)", "seconds": "seconds", "unanswered": "questions without an answer",
             "foreign_gib": "peak of the game (GiB)", "oom_refusals": "out-of-memory refusals"}
    if "foreign_bytes_peak" in summary:
        summary = {**summary, "foreign_gib": round(summary["foreign_bytes_peak"] / 2**30, 1)}
    lines = [""] + [f"  {text:<28}{summary[name]}" for name, text in names.items() if name in summary]
    lines += [f"  {question}  ->  {answer}" for question, answer in zip(summary["questions"], summary["answers"])]
    lines += [f"  went wrong: {problem}" for problem in summary["problems"]]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
