"""What the daemon says happened (GET /v1/events), as sentences for people and as counts for the summary."""
import collections
import json
import threading
import urllib.request


class Story:
    """Follows the events in the background. Ends with the connection, that is, with the daemon."""

    def __init__(self, url, tell):
        self.counts = collections.Counter()
        self.tell = tell
        self.whose = {}  # ticket -> who it is for
        self.waits_ms = []  # of everybody who got a turn
        self.stream = urllib.request.urlopen(f"{url}/v1/events?after=0", timeout=300)
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self):
        name = None
        try:
            for raw in self.stream:
                line = raw.decode(errors="replace").rstrip("\r\n")
                if line.startswith("event:"):
                    name = line[6:].strip()
                elif line.startswith("data:") and name:
                    self._heard(name, json.loads(line[5:]))
        except (OSError, ValueError):
            pass  # the daemon went away; the summary is made of what was heard

    def _heard(self, name, event):
        self.counts[name] += 1
        ticket = event.get("ticket")
        if name == "ticket_arrived":
            self.whose[ticket] = event.get("consumer") or "the batch job"
        elif name == "planned" and event.get("victims"):
            victims = ", ".join(map(_name, event["victims"]))
            self.tell(f"{victims} must go for {self.whose.get(ticket, 'others')}")
        elif name == "evicted":
            self.tell(f"{_name(event)} evicted, its memory is seen free")
        elif name == "load":
            self.tell(f"{_name(event)} loads")
        elif name == "granted":
            self.waits_ms.append(event["waited_ms"])
            self.tell(f"{self.whose.get(ticket, f'ticket {ticket}')} has the turn")
        elif name in ("eviction_failed", "refused", "service_lost", "lease_ended"):
            self.tell(f"{name}: {event.get('error', event)}")


def _name(who):
    """Of a resident: its consumer's name."""
    return who.get("consumer", "?") if isinstance(who, dict) else str(who)
