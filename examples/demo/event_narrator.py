"""The daemon's events (GET /v1/events) as sentences for people, and as counts for the summary."""
import collections
import json
import threading
import urllib.request


class EventNarrator:
    """Follows the events in a thread, which ends with the connection to the daemon."""

    def __init__(self, url, show_message):
        self.counts = collections.Counter()
        self.show_message = show_message
        self.ticket_owners = {}  # ticket -> consumer
        self.waits_ms = []  # of all granted tickets
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
                    self._narrate(name, json.loads(line[5:]))
        except (OSError, ValueError):
            pass  # the daemon has stopped; the summary uses the events so far

    def _narrate(self, name, event):
        self.counts[name] += 1
        ticket = event.get("ticket")
        if name == "ticket_arrived":
            self.ticket_owners[ticket] = event.get("consumer") or "the batch job"
        elif name == "planned" and event.get("victims"):
            victims = ", ".join(map(_consumer_name, event["victims"]))
            self.show_message(f"{victims} is evicted for {self.ticket_owners.get(ticket, 'others')}")
        elif name == "evicted":
            self.show_message(f"{_consumer_name(event)} evicted, its memory is free")
        elif name == "load":
            self.show_message(f"{_consumer_name(event)} loads")
        elif name == "granted":
            self.waits_ms.append(event["waited_ms"])
            self.show_message(f"{self.ticket_owners.get(ticket, f'ticket {ticket}')} has the turn")
        elif name in ("eviction_failed", "refused", "service_lost", "lease_ended"):
            self.show_message(f"{name}: {event.get('error', event)}")


def _consumer_name(resident):
    """The consumer's name of a resident."""
    return resident.get("consumer", "?") if isinstance(resident, dict) else str(resident)
