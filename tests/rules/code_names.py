"""The names that users see: what the program code_facts says, and log events.

An event's level and keys stand where it is written, and nowhere else: a list of them that a program could
print would be a second place, true only as long as somebody keeps it so. So these alone are read from the
source; a call whose event is no literal is an error.
"""
import json
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE_FOLDERS = ["common", "client-agent", "server-agent"]
# The logger itself, whose event names are its callers'.
LOGGER = {"common/log/log.h", "common/log/log.cc"}


def code_of(path):
    text = re.sub(r"/\*.*?\*/", "", (ROOT / path).read_text(encoding="utf-8"), flags=re.S)
    return re.sub(r"(?m)(?<!:)//.*$", "", text)


def call_text(code, start):
    """The arguments of the call whose bracket opens at `start`; brackets in strings do not count."""
    depth = 0
    for match in re.finditer(r'"(?:[^"\\]|\\.)*"|[()]', code[start:]):
        depth += {"(": 1, ")": -1}.get(match.group(0), 0)
        if depth == 0:
            return code[start + 1:start + match.start()]
    raise ValueError("a call without an end")


def facts(program):
    """What the program code_facts says: {"causes": {name: number}, "frames", "parameters", "exit codes", ...}."""
    return json.loads(subprocess.run([program], stdout=subprocess.PIPE, check=True).stdout)


def log_events():
    """{event: (levels, keys)}"""
    code = {}
    for folder in CODE_FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.cc")):
            name = path.relative_to(ROOT).as_posix()
            if name in LOGGER:
                continue
            text = code_of(name)
            for call in re.finditer(r"(?:->|\.)(?:event|stranger)(?=\([^)])", text):
                arguments = call_text(text, call.end())
                event = re.search(r'"(\w+)"', arguments)
                if event is None:
                    raise ValueError(f"{name}: an event without a literal name: {arguments}")
                facts = code.setdefault(event.group(1), (set(), set()))
                facts[0].update(re.findall(r"LogLevel::(\w+)", arguments))
                facts[1].update(re.findall(r'\{\s*"(\w+)",', arguments))
    own = code_of("common/log/log.cc")
    for level, event in re.findall(r'LogLevel::(\w+), (?:clock_us\(CLOCK_REALTIME\), )?"(\w+)"', own):
        at = own.index(f'"{event}"')
        code[event] = ({level}, set(re.findall(r'\{\s*"(\w+)",', own[at - 200:at + 200])))
    return code
