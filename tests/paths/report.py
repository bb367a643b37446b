"""Rows of results: medians, whether the goal is met, the matrix, the table and the picture."""
import json
import math
import os
from xml.sax.saxutils import escape

from traffic import median

BEGIN, END = "<!-- written by scripts/check-paths --write -->", "<!-- end -->"
LABELS_PX, CHART_PX, ROW_PX, TOP_PX, MARGIN_PX = 430, 400, 20, 48, 16
MET, MISSED = "#0b6bcb", "#c2410c"
LARGEST = 32.0                          # times worse or better: more is drawn as that


def rows(outcomes):
    """One for each measure of each scenario; a value is None where the pair did not come to an end."""
    return [row(scenario, each, results) for scenario, results, _ in outcomes if results
            for each in scenario.rows]


def row(scenario, each, results):
    pair = [result["measures"]["pair"].get(each.measure) for result in results]
    bare = [result["measures"]["bare"][each.measure] for result in results]
    pair = None if pair.count(None) * 2 >= len(pair) else median([v for v in pair if v is not None])
    bare = median(bare)
    return {"scenario": scenario.name, "title": scenario.title, "measure": each.title, "unit": each.unit,
            "pair": rounded(pair), "bare": rounded(bare), "ratio": ratio(pair, bare),
            "goal": str(each.goal), "less_is_better": each.goal.kind != "ratio_least",
            "met": each.goal.met(pair, bare)}


def rounded(value):
    return value if value is None else float(f"{value:.4g}")


def ratio(pair, bare):
    return None if pair is None or not bare else rounded(pair / bare)


def brief(scenario, result):
    return "; ".join([*(f"{each['measure']} {show(each['pair'])} (bare {show(each['bare'])}) {each['unit']}"
                        f"{'' if each['met'] else ' MISSED'}"
                        for each in (row(scenario, r, [result]) for r in scenario.rows)),
                      *result["failures"]])


def show(value):
    if value is None:
        return "never"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2f}"


COLUMNS = ("path and traffic", "measure", "bare TCP", "pair", "ratio", "goal", "")


def cells(each):
    unit = f", {each['unit']}" if each["unit"] else ""
    return (each["title"], each["measure"] + unit, show(each["bare"]), show(each["pair"]),
            "" if each["ratio"] is None else f"{each['ratio']:.2f}", each["goal"],
            "" if each["met"] else "missed")


def matrix(found):
    lines = [COLUMNS, *map(cells, found)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(COLUMNS))]
    return "\n".join("  ".join(text.ljust(width) if n < 2 or n > 4 else text.rjust(width)
                               for n, (text, width) in enumerate(zip(line, widths))).rstrip()
                     for line in lines)


def markdown(found):
    lines = ["| " + " | ".join(COLUMNS) + " |", "| --- | --- | ---: | ---: | ---: | --- | --- |"]
    return "\n".join(lines + ["| " + " | ".join(cells(each)) + " |" for each in found])


def write(docs, values, order):
    """The new rows among those of before, in the scenarios' order."""
    path = os.path.join(docs, "paths.json")
    old = []
    if os.path.exists(path):
        with open(path) as file:
            old = json.load(file)["rows"]
    fresh = {each["scenario"] for each in values["rows"]}
    kept = [each for each in old if each["scenario"] not in fresh and each["scenario"] in order]
    date = values["conditions"]["date"]
    found = kept + [dict(each, date=date) for each in values["rows"]]
    found.sort(key=lambda each: order.index(each["scenario"]))
    with open(path, "w") as file:
        json.dump({"conditions": values["conditions"], "rows": found}, file, indent=1)
        file.write("\n")
    with open(os.path.join(docs, "paths.svg"), "w") as file:
        file.write(draw(found))
    page = os.path.join(docs, "PATHS.md")
    with open(page) as file:
        before, _, rest = file.read().partition(BEGIN)
    with open(page, "w") as file:
        file.write(f"{before}{BEGIN}\n{markdown(found)}\n{END}{rest.partition(END)[2]}")


def gain(each):
    """Times better than bare TCP; worse is below 1. None: there is no ratio."""
    if each["pair"] is None:
        return 1 / LARGEST
    if not each["ratio"]:
        return None
    value = 1 / each["ratio"] if each["less_is_better"] else each["ratio"]
    return min(LARGEST, max(1 / LARGEST, value))


def draw(found):
    drawn = [(each, gain(each)) for each in found if gain(each) is not None]
    width, bottom = LABELS_PX + CHART_PX + 2 * MARGIN_PX, TOP_PX + ROW_PX * len(drawn)

    def x(value):
        return LABELS_PX + MARGIN_PX + CHART_PX * (math.log(value) / math.log(LARGEST) + 1) / 2
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {bottom + 44}" '
             f'width="{width}" height="{bottom + 44}" font-family="sans-serif" font-size="12">',
             f'<rect width="{width}" height="{bottom + 44}" fill="#ffffff"/>']
    for number, (colour, text) in enumerate(((MET, "goal met"), (MISSED, "goal missed"))):
        parts += [f'<circle cx="{MARGIN_PX + 6 + 110 * number}" cy="16" r="5" fill="{colour}"/>',
                  f'<text x="{MARGIN_PX + 18 + 110 * number}" y="20" fill="#222">{text}</text>']
    for power in range(-5, 6):
        at = x(2.0 ** power)
        name = f"{2 ** power}×" if power >= 0 else f"1/{2 ** -power}×"
        parts += [f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP_PX - 8}" y2="{bottom}" '
                  f'stroke="{"#555" if power == 0 else "#ddd"}"/>',
                  f'<text x="{at:.1f}" y="{bottom + 14}" text-anchor="middle" fill="#444">{name}</text>']
    for number, (each, value) in enumerate(drawn):
        y = TOP_PX + ROW_PX * number + ROW_PX / 2
        parts += [f'<text x="{LABELS_PX}" y="{y + 4:.1f}" text-anchor="end" fill="#222">'
                  f'{escape(each["title"])}: {escape(each["measure"])}</text>',
                  f'<line x1="{x(1):.1f}" x2="{x(value):.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="#bbb"/>',
                  f'<circle cx="{x(value):.1f}" cy="{y:.1f}" r="4.5" '
                  f'fill="{MET if each["met"] else MISSED}"/>']
    parts.append(f'<text x="{width - MARGIN_PX}" y="{bottom + 34}" text-anchor="end" fill="#444">'
                 f'← worse than bare TCP · better → (at {LARGEST:g}×: that or more, or never)</text></svg>')
    return "\n".join(parts) + "\n"
