"""The same consumers without the daemon: the first ones to load get the memory, the others are refused."""
import socket
import threading
import time
import urllib.request

import voice_conversation

SERVICES = {
    "stt": ["--footprint", "5GiB", "--working", "512MiB"],
    "llm": ["--footprint", "8GiB"],
    "tts": ["--footprint", "7GiB", "--working", "256MiB"],
}
START_SECONDS = 30


class UnmanagedService:
    """A service that is started when a request needs it, as its owner would do by hand."""

    def __init__(self, environment, name):
        self.environment = environment
        self.name = name
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None
        self.starting = threading.Lock()

    def ensure_running(self):
        """Starts it unless it runs; returns its URL. Raises ServiceDown with its last line of output if it ends."""
        with self.starting:
            if self.process is None or self.process.child.poll() is not None:
                self.process = self.environment.start("python", f"examples/demo/{self.name}.py", "--port", self.port,
                                                      *SERVICES[self.name])
            until = time.monotonic() + START_SECONDS
            while time.monotonic() < until and not self.is_healthy():
                if self.process.child.poll() is not None:
                    self.process.reader.join(1)
                    raise ServiceDown(f"{self.name}: {self.process.lines[-1] if self.process.lines else 'died'}")
                time.sleep(0.05)
        return self.url

    def is_healthy(self):
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False


class ServiceDown(Exception):
    pass


def run_without_mgpu(environment, display, questions_by_person, gpu_size):
    environment.create_gpu(gpu_size)
    display.show_message(f"a simulated GPU of {gpu_size}, three services, and no daemon")
    services = {name: UnmanagedService(environment, name) for name in SERVICES}
    answers, failures = [], []

    def client_for(consumer):
        return voice_conversation.client(services[consumer].ensure_running())

    def ask_questions(name, questions):
        for question in questions:
            try:
                answer = voice_conversation.ask_aloud(client_for, questions_spoken[question], question)
            except (ServiceDown, *voice_conversation.ERRORS) as error:
                failures.append(f"{name}: {question}: {error}")
                display.show_message(f'{name} asked "{question}" and gets: {error}')
            else:
                answers.append(answer)
                display.show_message(f'{name} asked "{answer.transcript}" and hears "{answer.text}"')

    questions_spoken = {question: environment.synthesize_question(question)
                        for questions in questions_by_person.values() for question in questions}
    threads = [threading.Thread(target=ask_questions, args=item, daemon=True) for item in questions_by_person.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(0.2)
    display.close()
    refusals = environment.gpu()["oom_count"]
    return {
        "ok": refusals > 0,  # the refusals are what this mode shows
        "oom_refusals": refusals,
        "unanswered": len(failures),
        "answers": [answer.text for answer in answers],
        "questions": [answer.transcript for answer in answers],
        "problems": failures,
    }


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
