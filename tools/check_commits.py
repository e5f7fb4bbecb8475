#!/usr/bin/env python3
"""Checks commit messages: `area: what changes`, in the imperative, at most 72 characters; the body wrapped.

    tools/check_commits.py [COMMIT]    those after COMMIT (default: after the merge base with origin/main, else the
                                       last one alone); prints each fault, exit 1 if there is any
    tools/check_commits.py --self-test
"""
import re
import subprocess
import sys

MAX_SUBJECT = 72
MAX_BODY_LINE = 80
SUBJECT = re.compile(r"(?P<area>[a-z][a-z0-9_/.-]*(?:, [a-z][a-z0-9_/.-]*)*): (?P<verb>\S+)(?: .*)?$")
# "adds", "added", "adding" in place of "add". A verb that merely ends so stands in EXCEPTIONS.
INFLECTED = re.compile(r"[a-z]+(?:ed|ing|[^sua']s)$")
EXCEPTIONS = {"bring", "embed", "exceed", "feed", "need", "ping", "proceed", "seed", "shed", "speed", "string", "focus"}


def message_faults(message):
    """What is wrong with one commit message, in sentences."""
    subject, _, body = message.strip("\n").partition("\n")
    faults = []
    match = SUBJECT.match(subject)
    if not match:
        faults.append("the subject is not `area: what changes`")
    elif INFLECTED.match(match["verb"].lower()) and match["verb"].lower() not in EXCEPTIONS:
        faults.append(f"the subject's verb is not imperative: \"{match['verb']}\"")
    if len(subject) > MAX_SUBJECT:
        faults.append(f"the subject has {len(subject)} characters, at most {MAX_SUBJECT} fit")
    if subject.endswith("."):
        faults.append("the subject ends with a full stop")
    if body and not body.startswith("\n"):
        faults.append("no empty line between subject and body")
    for line in body.splitlines():
        # A quoted command, table or address may be longer.
        if len(line) > MAX_BODY_LINE and not line.startswith(" ") and "://" not in line:
            faults.append(f"a line of the body has {len(line)} characters, at most {MAX_BODY_LINE} fit")
            break
    return faults


def git(*arguments):
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout


def default_base():
    try:
        return git("merge-base", "HEAD", "origin/main").strip()
    except subprocess.CalledProcessError:
        return "HEAD~1"


def commits_after(base):
    """(abbreviated hash, message) of each commit after `base`, merges left out."""
    for record in git("log", "--no-merges", "--format=%h%x00%B%x01", f"{base}..HEAD").split("\x01"):
        if "\0" in record:
            yield record.strip("\n").split("\0", 1)


def self_test():
    good = ["http: read a head once", "sched, plan: count bytes of parked residents\n\nWithout it two would fit.\n",
            "tests/e2e: bring the soak back", "docs: name " + "x" * 60]
    bad = ["Make a waiting caller's timer never fire by itself", "http: added a limit", "http: adds a limit",
           "http: read a head once.", "http: " + "x" * 67, "http:read", "http: read\nno empty line",
           "http: read\n\n" + "x" * 81]
    wrong = [text for text in good if message_faults(text)] + [text for text in bad if not message_faults(text)]
    for text in wrong:
        print(f"commits: the self-test misjudged {text!r}: {message_faults(text)}")
    if not wrong:
        print("commits: the self-test passed")
    return 1 if wrong else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    base = sys.argv[1] if sys.argv[1:] else default_base()
    try:
        checked = list(commits_after(base))
    except subprocess.CalledProcessError as error:
        print(f"commits: git can't list the commits after {base}: {error.stderr.strip()}")
        return 1
    faults = [(commit, message.splitlines()[0], fault) for commit, message in checked for fault in message_faults(message)]
    for commit, subject, fault in faults:
        print(f"{commit} {subject}: {fault}")
    print(f"commits: {len(checked)} after {base[:12]}, {len(faults) or 'no'} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
