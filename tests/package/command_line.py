"""What the two programs themselves say in --help: the measure for manuals and completions."""
import functools
import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("HOLDFAST_BIN", ROOT / "build" / "bin")).resolve()
PROGRAMS = ["holdfast-client", "holdfast-server"]


@functools.cache
def help_of(program, *words):
    run = subprocess.run([BIN / program, *words, "--help"], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return run.stdout


def section(text, title):
    """The lines below the title, up to an empty line; none where there is no such title."""
    found = re.search(rf"(?m)^{title}:\n((?:.+\n)*)", text)
    return found.group(1).splitlines() if found else []


def subcommands(program):
    """In the order of --help."""
    names = [line.split()[0] for line in section(help_of(program), "Subcommands")
             if re.match(r"  \S", line)]
    assert len(names) > 5
    return names


def options(program, *words):
    """{"-c", "--config", ...} of the program, or of one subcommand beside -h and --help."""
    found = set()
    for line in section(help_of(program, *words), "Options"):
        if re.match(r"  -", line):
            found.update(line.split()[0].split(","))
    if words:
        found -= {"-h", "--help"}
    return found


def takes_json(program):
    """The subcommands that --help names beside --json."""
    line = next(line for line in section(help_of(program), "Options") if line.split()[0] == "--json")
    return set(re.findall(r"[a-z-]+", line.partition("--json")[2].partition(":")[0]))
