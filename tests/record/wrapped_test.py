"""Every method of Link and LinkRegistry that is called from outside of them is recorded: mangled.h
names it. Arguments: nm, mangled.h, and the libraries that call or define the methods.

Methods that only read (const) need no record, nor does what UNRECORDED names.
"""

import pathlib
import re
import subprocess
import sys
import unittest

NM, MANGLED = sys.argv[1:3]
LIBRARIES = sys.argv[3:]

METHOD = re.compile(r"_ZN8holdfast(?:4Link|12LinkRegistry)(?:\d|[CD]\d)\w*$")
UNRECORDED = {
    "_ZN8holdfast4Link10take_traceEv": "a replay has no trace",
    "_ZN8holdfast12LinkRegistry4findERKNS_6LinkIdE": "only reads",
    # What only the next process reads. What it makes of it is tests/crash's.
    "_ZN8holdfast4Link6attachENS_12StreamHandleERKNS_11SocketFactsE": "writes a record's socket",
    "_ZN8holdfast4Link6detachENS_12StreamHandleEi": "writes a record's socket",
    "_ZN8holdfast4Link5latchENS_12StreamHandleE": "writes a record's socket",
}
# The simulator has no process that dies.
RECOVER = "_ZN8holdfast4Link7recoverE"
# Reloads of a registry are left out (README.md).
RELOAD = "_ZN8holdfast12LinkRegistry11reconfigureE"


def called_and_defined():
    """By object file: the methods that it calls, and those that it defines."""
    found = {}
    for library in LIBRARIES:
        listed = subprocess.run([NM, "-A", library], check=True, capture_output=True, text=True)
        for line in listed.stdout.splitlines():
            where, kind, name = line.rsplit(maxsplit=2)
            if METHOD.match(name):
                item = found.setdefault(where.rsplit(":", 1)[0], (set(), set()))
                item[0 if kind == "U" else 1].add(name)
    return found


class Wrapped(unittest.TestCase):
    def test_no_method_that_others_call_is_forgotten(self):
        wrapped = set(re.findall(r'"(_Z\w+)"', pathlib.Path(MANGLED).read_text()))
        called = set()
        for calls, defines in called_and_defined().values():
            if not defines:
                called |= calls
        self.assertGreater(len(called), 20, "nm was read wrongly")
        forgotten = {each for each in called - wrapped - set(UNRECORDED) if not each.startswith((RELOAD, RECOVER))}
        self.assertEqual(forgotten, set())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
