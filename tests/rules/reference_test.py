#!/usr/bin/env python3
"""config/client.toml, config/server.toml and the keys in holdfast.toml(5) are what the table of keys
gives (common/config/keys.h). With --write they are written anew:

    ninja -C build config_reference
    tests/rules/reference_test.py build/bin/config_reference --write
"""
import difflib
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BEGIN, END = "# KEYS OF BOTH SIDES\n", "# EXAMPLES\n"


def printed(tool, what):
    return subprocess.run([tool, what], check=True, capture_output=True, text=True, timeout=60).stdout


def wanted(tool, path):
    """What the file should hold: all of an example, the keys' chapters of the manual."""
    if path.suffix == ".toml":
        return printed(tool, path.name)
    page = path.read_text()
    begin, end = page.index(BEGIN), page.index(END)
    return page[:begin] + printed(tool, "manual") + page[end:]


def main():
    tool, write = sys.argv[1], "--write" in sys.argv[2:]
    stale = False
    for name in ("config/client.toml", "config/server.toml", "docs/man/holdfast.toml.5.scd"):
        path = ROOT / name
        new = wanted(tool, path)
        old = path.read_text()
        if write:
            path.write_text(new)
        elif old != new:
            stale = True
            sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), new.splitlines(True),
                                                       name, name + " by the table of keys"))
    if stale:
        sys.exit("write them anew: tests/rules/reference_test.py build/bin/config_reference --write")


if __name__ == "__main__":
    main()
