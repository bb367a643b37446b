"""Golden files of what users see: names and shapes, without what varies.

    same_as_golden("client", {...})      fails with a readable difference; with HOLDFAST_UPDATE_GOLDEN=1
                                         it writes tests/golden/surface/client.json instead

tests/golden/surface/README.md says what they are for.
"""
import difflib
import json
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDER = os.path.join(ROOT, "tests", "golden", "surface")
UPDATE = "HOLDFAST_UPDATE_GOLDEN"
HOW = f"If it is meant: scripts/record surface (or {UPDATE}=1 and the test), look at the difference, commit."

# Strings whose value is part of what is promised; of all others only what they look like counts.
WORDS = {"state", "client_end", "target_end", "pause_reason", "kind", "role", "name", "peer", "service",
         "cause", "result", "severity", "effect", "outcome", "key"}
# What a moment decides.
VARIES = {"rtt_s", "last_error", "carrier"}
LOOKS = [("time", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"),
         ("address", r"(\d+\.){3}\d+:\d+"),
         ("connection id", r"[0-9a-f]{8}-\d+"),
         ("link id", r"[0-9a-f]{32}|[0-9a-f]{8}"),
         ("path", r"/[\w./-]+"),
         ("nothing", r"")]


def look(value, key):
    """A leaf with everything that varies put as what it is: a number, a time, an address."""
    if key in VARIES:
        return "varies"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, (int, float)):
        return "number"
    if key in WORDS and value:
        return f'"{value}"'
    return next((name for name, pattern in LOOKS if re.fullmatch(pattern, value)), "text")


def shape(value):
    """{path: how its leaf looks} of JSON; a list's members are one (several looks: "this or that")."""
    found = {}

    def walk(value, path, key):
        if isinstance(value, dict) and value:
            for each, inner in value.items():
                walk(inner, f"{path}.{each}", each)
        elif isinstance(value, list) and value:
            for inner in value:
                walk(inner, path + "[]", key)
        else:
            leaf = "{}" if value == {} else "[]" if value == [] else look(value, key)
            found.setdefault(path, set()).add(leaf)
    walk(value, "", "")
    return {path or ".": " or ".join(sorted(leaves)) for path, leaves in found.items()}


def by_path(states):
    """[(state, {path: look})] as {path: look}; where states differ, "1: absent, 2-7: number"."""
    fields = {}
    for path in sorted({path for _, each in states for path in each}):
        looks = [each.get(path, "absent") for _, each in states]
        runs, first = [], 1
        for number, (this, following) in enumerate(zip(looks, looks[1:] + [None]), 1):
            if this != following:
                runs.append(f"{first}-{number}: {this}" if number > first else f"{number}: {this}")
                first = number + 1
        fields[path] = looks[0] if len(runs) == 1 else ", ".join(runs)
    return {"states": [f"{number}: {name}" for number, (name, _) in enumerate(states, 1)], "fields": fields}


def text_of(value):
    """JSON for reading and for diff(1): a line each, but short lists on one."""
    def on_one_line(match):
        line = "[" + re.sub(r"\s*\n\s*", " ", match[1]) + "]"
        return line if len(line) < 90 else match[0]
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
    return re.sub(r'\[\s*((?:"[^"\\]*"(?:,\s+)?)+?)\s*\]', on_one_line, text) + "\n"


def same_as_golden(name, value):
    path = os.path.join(FOLDER, f"{name}.json")
    now = text_of(value)
    if os.environ.get(UPDATE):
        with open(path, "w", encoding="utf-8") as file:
            file.write(now)
        return
    with open(path, encoding="utf-8") as file:
        golden = file.read()
    if now == golden:
        return
    lines = difflib.unified_diff(golden.splitlines(), now.splitlines(), f"tests/golden/surface/{name}.json",
                                 "now", n=4, lineterm="")
    raise AssertionError("what users see is not what it was:\n" + "\n".join(lines) + "\n" + HOW)
