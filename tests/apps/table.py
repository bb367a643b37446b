"""docs/APPLICATIONS.md from the matrix: one table for Holdfast, one for bare TCP, and what was seen."""
import known
from faults import FAULTS

NOTHING = "·"
HEAD = """# Real applications, real faults

Written by `scripts/check-apps` (`tests/apps`); the same as JSON: [applications.json](applications.json).
Last cell: {when}. One cell again: `scripts/check-apps --only APP --fault FAULT`.

Every application is Debian 12's package, unmodified, with its default settings where nothing else is
said. Client and server run on two hosts (network namespaces) with a router between them, 40 Mbit/s, and
each workload runs twice at the same time over the same path to the same server: through Holdfast (default
settings, encrypted) and directly. All workloads of an application run at once. *Survived* is what the
application says: every row, digest and answer is right, exit status 0, and it never connected anew.

| fault | what happens |
| --- | --- |
{faults}
"""
HOLDFAST = """
## Through Holdfast

Seconds: from the end of the fault until the workload's next answer or byte (its own pace of 0.1 s or so
included; who queued up in the fault waits until that is through; all share one path, and here one busy
machine). `ok`: survived, where there is no such moment.
"""
DIRECT = """
## Directly

What the user would have lived through. *lost*: the application said so; *hung*: nothing for {patience} s
after the path was back. `·`: not applicable (there is no agent to stop).
"""
SEEN = """
## What was seen

"""


def markdown(cells, titles, when, patience):
    """`cells`: {(application, fault): the cell's JSON}; `titles`: {application: its name for people}."""
    faults = [name for name in FAULTS if any(fault == name for _, fault in cells)]
    notes, tables = {}, []
    for way in ("holdfast", "direct"):
        lines = ["| application, workload | " + " | ".join(faults) + " |",
                 "| --- |" + " --- |" * len(faults)]
        for app, workload in workloads(cells):
            shown = [mark(cells.get((app, fault)), workload, way, notes) for fault in faults]
            lines.append(f"| {titles[app]}: {workload} | " + " | ".join(shown) + " |")
        tables.append("\n".join(lines) + "\n")
    told = "\n".join(f"| {name} | {FAULTS[name].told} |" for name in faults)
    return (HEAD.format(when=when, faults=told) + HOLDFAST + "\n" + tables[0]
            + "\n" + "\n".join(f"{number}. {text}" for text, number in notes.items())
            + ("\n" if notes else "") + DIRECT.format(patience=patience) + "\n" + tables[1]
            + SEEN + words_seen(cells, titles))


def workloads(cells):
    """[(application, workload)] in the order in which they are told."""
    rows = {}
    for (app, _), cell in sorted(cells.items()):
        for result in cell.get("results", []):
            rows.setdefault((app, result["workload"]))
    return list(rows)


def find(cell, workload, way):
    for result in cell.get("results", []):
        if result["workload"] == workload and result["way"] == way:
            return result
    return None


def mark(cell, workload, way, notes):
    """What stands in a field; a result through Holdfast that is none to be glad of gets a note."""
    if cell is None:
        return NOTHING
    if "error" in cell:
        return "error"
    result = find(cell, workload, way)
    if result is None:
        return NOTHING
    if result["verdict"] == "survived":
        stall = result.get("stall_s")
        return "ok" if stall is None or not FAULTS[cell["fault"]].outage else f"{stall:.1f}"
    if way == "direct":
        return result["verdict"]
    text = f"“{result.get('saw', '')}”: {known.reason(cell, result) or 'not understood.'}"
    return f"**{result['verdict']}** ({notes.setdefault(text, len(notes) + 1)})"


def words_seen(cells, titles):
    """Of each workload that a fault ended directly: its application's words, each once."""
    lines = []
    for app, workload in workloads(cells):
        seen = {}
        for fault in FAULTS:
            result = find(cells.get((app, fault), {}), workload, "direct")
            if result and result["verdict"] == "lost":
                seen.setdefault(result["saw"].replace("|", "\\|"), []).append(fault)
        for text, faults in list(seen.items())[:3]:
            lines.append(f"- {titles[app]}, {workload} ({', '.join(faults)}): {text}")
    return "Of what was lost directly, the applications' words (at most three each):\n\n" \
        + "\n".join(lines) + "\n"
