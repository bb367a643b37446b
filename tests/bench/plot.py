"""The ratios as an SVG: a row for each metric, right of the line is better than haproxy.

    plot.py RESULTS.json OUT.svg        (scripts/bench --svg FILE does the same)
"""
import json
import math
import statistics
import sys
from xml.sax.saxutils import escape

from measures import METRICS

LABELS_PX, CHART_PX, ROW_PX, TOP_PX, MARGIN_PX = 330, 430, 30, 62, 16
SMALLEST_SPAN = 2.0                     # the axis shows at least half to double
SERIES = (("holdfast", "haproxy", "#0b6bcb", "plain, against haproxy (spliced)"),
          ("holdfast TLS", "haproxy TLS", "#c2410c", "TLS, against haproxy with TLS"))


def gains(paths, above, below, metric):
    """Round by round: how many times better `above` was; 2 is twice as fast or half as much."""
    try:
        values = zip(paths[above][metric.key]["values"], paths[below][metric.key]["values"])
    except KeyError:
        return []
    pairs = [(b, a) if metric.lower_is_better else (a, b) for a, b in values]
    return [a / b for a, b in pairs if a > 0 and b > 0]


def ticks(span):
    step, values = 2.0, [1.0]
    while step <= span * 1.001:
        values += [step, 1 / step]
        step *= 2
    return sorted(values)


def draw(results):
    rows = []
    for metric in METRICS:
        found = [(colour, g) for above, below, colour, _ in SERIES
                 if (g := gains(results["paths"], above, below, metric))]
        if found:
            rows.append((metric, found))
    everything = [g for _, found in rows for _, values in found for g in values]
    span = max([SMALLEST_SPAN] + [max(g, 1 / g) for g in everything]) * 1.1
    width = LABELS_PX + CHART_PX + 2 * MARGIN_PX
    height = TOP_PX + ROW_PX * len(rows) + 44

    def x(gain):
        return LABELS_PX + MARGIN_PX + CHART_PX * (math.log(gain) / math.log(span) + 1) / 2
    bottom = TOP_PX + ROW_PX * len(rows)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
             f'width="{width}" height="{height}" font-family="sans-serif" font-size="13">',
             f'<rect width="{width}" height="{height}" fill="#ffffff"/>']
    for number, (_, _, colour, text) in enumerate(SERIES):
        y = 20 + 20 * number
        parts += [f'<circle cx="{MARGIN_PX + 6}" cy="{y - 4}" r="5" fill="{colour}"/>',
                  f'<text x="{MARGIN_PX + 18}" y="{y}" fill="#222">{escape(text)}</text>']
    for tick in ticks(span):
        line = 'stroke="#555"' if tick == 1 else 'stroke="#ddd"'
        name = f"{tick:g}×" if tick >= 1 else f"1/{1 / tick:g}×"
        parts += [f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP_PX - 8}" y2="{bottom}" {line}/>',
                  f'<text x="{x(tick):.1f}" y="{bottom + 16}" text-anchor="middle" fill="#444">'
                  f'{name}</text>']
    for number, (metric, found) in enumerate(rows):
        middle = TOP_PX + ROW_PX * number + ROW_PX / 2
        parts.append(f'<text x="{LABELS_PX}" y="{middle + 4:.1f}" text-anchor="end" fill="#222">'
                     f'{escape(metric.title)}</text>')
        for place, (colour, values) in enumerate(found):
            y = middle + (place - (len(found) - 1) / 2) * 11
            parts += [f'<line x1="{x(min(values)):.1f}" x2="{x(max(values)):.1f}" y1="{y:.1f}" '
                      f'y2="{y:.1f}" stroke="{colour}" stroke-width="2" stroke-opacity="0.5"/>',
                      f'<circle cx="{x(statistics.median(values)):.1f}" cy="{y:.1f}" r="4.5" '
                      f'fill="{colour}"/>']
    parts.append(f'<text x="{width - MARGIN_PX}" y="{bottom + 36}" text-anchor="end" fill="#444">'
                 '← worse than haproxy · better than haproxy → (point: median, line: all rounds)'
                 '</text></svg>')
    return "\n".join(parts) + "\n"


def main(arguments):
    if len(arguments) != 2:
        sys.exit("usage: plot.py RESULTS.json OUT.svg")
    with open(arguments[0]) as file:
        results = json.load(file)
    with open(arguments[1], "w") as file:
        file.write(draw(results))


if __name__ == "__main__":
    main(sys.argv[1:])
