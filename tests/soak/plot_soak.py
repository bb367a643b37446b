"""A soak over time as an SVG: latency, throughput, memory and descriptors; the faults shaded.

    plot_soak.py RESULTS.json OUT.svg
"""
import json
import math
import sys

LEFT_PX, CHART_PX, PANEL_PX, GAP_PX, TOP_PX = 64, 860, 120, 34, 46
BINS = 215                        # points a line has at most: what is drawn is the worst of each
CLIENT, SERVER, OTHER, FAULT = "#0b6bcb", "#c2410c", "#15803d", "#f3d9a4"


def binned(points, seconds):
    """The highest value of each bin: [(middle of the bin, value)]."""
    bins = {}
    for at, value in points:
        place = int(at / seconds * BINS)
        bins[place] = max(value, bins.get(place, value))
    return [((place + 0.5) * seconds / BINS, value) for place, value in sorted(bins.items())]


def rates(samples):
    """[(seconds, MB/s)] from the counted bytes."""
    return [(b["at"], (b["bytes"] - a["bytes"]) / 1e6 / (b["at"] - a["at"]))
            for a, b in zip(samples, samples[1:]) if b["at"] > a["at"]]


def panels(summary):
    """(title, logarithmic, [(colour, name, points)])"""
    samples = summary["samples"]

    def series(what, scale):
        return [(colour, name, [(s["at"], s[f"{name}_{what}"] / scale) for s in samples])
                for colour, name in ((CLIENT, "client"), (SERVER, "server"))]
    return [("answer, ms (the slowest of each moment)", True, [(OTHER, "", summary["pings"])]),
            ("echoed, MB/s", False, [(OTHER, "", rates(samples))]),
            ("resident memory, MiB", False, series("rss", 1 << 20)),
            ("descriptors", False, series("fds", 1))]


def draw(summary):
    seconds = max([s["at"] for s in summary["samples"]] + [at for at, _ in summary["pings"]] + [1])
    width = LEFT_PX + CHART_PX + 20
    drawn = panels(summary)
    height = TOP_PX + len(drawn) * (PANEL_PX + GAP_PX) + 20

    def x(at):
        return LEFT_PX + CHART_PX * at / seconds
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
             f'height="{height}" font-family="sans-serif" font-size="12">',
             f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
             f'<text x="{LEFT_PX}" y="18" fill="#222">{summary["seconds"] / 60:.0f} minutes, '
             f'{summary["faults"]} faults (shaded), {summary["reloads"]} reloads, '
             f'{summary["connections"]} connections; <tspan fill="{CLIENT}">client agent</tspan>, '
             f'<tspan fill="{SERVER}">server agent</tspan></text>']
    for number, (title, logarithmic, lines) in enumerate(drawn):
        top = TOP_PX + number * (PANEL_PX + GAP_PX)
        parts += panel(top, title, logarithmic, lines, summary["outages"], seconds, x)
    bottom = TOP_PX + len(drawn) * (PANEL_PX + GAP_PX) - GAP_PX + 16
    parts += [f'<text x="{x(seconds * part / 4):.0f}" y="{bottom}" text-anchor="{"end" if part == 4 else "middle"}" fill="#444">'
              f'{seconds * part / 240:.1f} min</text>' for part in range(5)]
    return "\n".join(parts) + "\n</svg>\n"


def panel(top, title, logarithmic, lines, outages, seconds, x):
    lines = [(colour, binned(points, seconds)) for colour, _, points in lines]
    values = [value for _, points in lines for _, value in points] or [1]
    most = max(values) * 1.05 or 1
    least = max(min(v for v in values if v > 0), 1e-3) if logarithmic else 0

    def y(value):
        if logarithmic:
            share = math.log(max(value, least) / least) / (math.log(most / least) or 1)
        else:
            share = value / most
        return top + PANEL_PX * (1 - share)
    parts = [f'<rect x="{x(b):.1f}" y="{top}" width="{max(x(e) - x(b), 0.5):.1f}" height="{PANEL_PX}" '
             f'fill="{FAULT}"/>' for _, b, e in outages]
    parts += [f'<rect x="{LEFT_PX}" y="{top}" width="{CHART_PX}" height="{PANEL_PX}" fill="none" '
              f'stroke="#999"/>', f'<text x="{LEFT_PX}" y="{top - 5}" fill="#222">{title}</text>']
    for value in (least, most / 1.05):
        parts.append(f'<text x="{LEFT_PX - 6}" y="{y(value) + 4:.1f}" text-anchor="end" fill="#444">'
                     f'{value:.4g}</text>')
    for colour, points in lines:
        path = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.3"/>')
    return parts


def main(arguments):
    if len(arguments) != 2:
        sys.exit("usage: plot_soak.py RESULTS.json OUT.svg")
    with open(arguments[0]) as file:
        summary = json.load(file)
    with open(arguments[1], "w") as file:
        file.write(draw(summary))


if __name__ == "__main__":
    main(sys.argv[1:])
