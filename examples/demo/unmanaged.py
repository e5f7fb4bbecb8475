"""The same consumers side by side with nobody in front: whoever loads first has the memory, the others are refused."""
import socket
import threading
import time
import urllib.request

import conversation

SERVICES = {
    "stt": ["--footprint", "5GiB", "--working", "512MiB"],
    "llm": ["--footprint", "8GiB"],
    "tts": ["--footprint", "7GiB", "--working", "256MiB"],
}
START_SECONDS = 30


class Service:
    """Started anew when somebody needs it and it is not there, as its owner would do by hand."""

    def __init__(self, home, name):
        self.home = home
        self.name = name
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None
        self.starting = threading.Lock()

    def up(self):
        """Raises ServiceDown with the service's own last words if it does not come up."""
        with self.starting:
            if self.process is None or self.process.child.poll() is not None:
                self.process = self.home.start("python", f"examples/demo/{self.name}.py", "--port", self.port,
                                               *SERVICES[self.name])
            until = time.monotonic() + START_SECONDS
            while time.monotonic() < until and not self.healthy():
                if self.process.child.poll() is not None:
                    self.process.reader.join(1)
                    raise ServiceDown(f"{self.name}: {self.process.lines[-1] if self.process.lines else 'died'}")
                time.sleep(0.05)
        return self.url

    def healthy(self):
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False


class ServiceDown(Exception):
    pass


def run(home, eyes, people, gpu_size):
    home.make_gpu(gpu_size)
    eyes.tell(f"a simulated GPU of {gpu_size}, three services, and nobody in front of them")
    services = {name: Service(home, name) for name in SERVICES}
    answers, failures = [], []

    def person(name, questions):
        for question in questions:
            try:
                answer = conversation.ask(lambda consumer: conversation.client(services[consumer].up()),
                                          voices[question], question)
            except (ServiceDown, *conversation.ERRORS) as error:
                failures.append(f"{name}: {question}: {error}")
                eyes.tell(f'{name} asked "{question}" and gets: {error}')
            else:
                answers.append(answer)
                eyes.tell(f'{name} asked "{answer.heard}" and hears "{answer.text}"')

    voices = {question: home.voice(question) for questions in people.values() for question in questions}
    threads = [threading.Thread(target=person, args=item, daemon=True) for item in people.items()]
    for one in threads:
        one.start()
    for one in threads:
        while one.is_alive():
            one.join(0.2)
    eyes.close()
    refusals = home.gpu()["oom_count"]
    return {
        "ok": refusals > 0,  # this is what it is here to show
        "oom_refusals": refusals,
        "unanswered": len(failures),
        "answers": [answer.text for answer in answers],
        "questions": [answer.heard for answer in answers],
        "problems": failures,
    }


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
