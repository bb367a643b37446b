"""Medians, spreads and ratios of what the rounds measured, as tables for eyes and as JSON."""
import statistics

from measures import METRICS

# (above, below): which paths are put in relation.
RATIOS = (("holdfast", "haproxy"), ("holdfast TLS", "haproxy TLS"), ("holdfast TLS", "haproxy"),
          ("holdfast redirect", "holdfast"), ("holdfast TLS parallel", "holdfast TLS"),
          ("holdfast TLS threads", "holdfast TLS"))


class Results:
    def __init__(self):
        self.values = {}               # (path, metric): [value of each round]
        self.failures = []             # texts
        self.replay = {}               # path: [measures.Replay of each round]
        self.resume = {}               # path: [{kind: (first, last)} of each round]

    def add(self, path, values):
        for metric, value in values.items():
            self.values.setdefault((path, metric), []).append(value)

    def median(self, path, metric):
        values = self.values.get((path, metric))
        return statistics.median(values) if values else None

    def spread(self, path, metric):
        """Largest less smallest, as a part of the median."""
        values = self.values.get((path, metric), [])
        middle = self.median(path, metric)
        return (max(values) - min(values)) / middle if len(values) > 1 and middle else None

    def ratio(self, above, below, metric):
        """Of the same round's values, and of those the median: what slows a round slows both."""
        pairs = zip(self.values.get((above, metric), []), self.values.get((below, metric), []))
        ratios = [a / b for a, b in pairs if b > 0]
        return statistics.median(ratios) if ratios else None

    def as_json(self, conditions):
        metrics = {}
        for (path, metric), values in self.values.items():
            metrics.setdefault(path, {})[metric] = {
                "median": statistics.median(values), "values": values}
        ratios = {f"{above} / {below}": {m.key: value for m in METRICS if (
            value := self.ratio(above, below, m.key)) is not None} for above, below in RATIOS}
        return {"conditions": conditions, "paths": metrics,
                "ratios": {name: values for name, values in ratios.items() if values},
                "resume_ms": self.resume,
                "replay": {path: [one._asdict() for one in rounds]
                           for path, rounds in self.replay.items()}, "failures": self.failures}


def number(value):
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else (
        f"{value:.2f}")


def table(head, rows):
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def text(row):
        return "  ".join([row[0].ljust(widths[0])] + [
            cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]).rstrip()
    return "\n".join([text(head), "  ".join("-" * width for width in widths), *map(text, rows)])


def title(metric):
    return f"{metric.title} ({metric.unit}{', less is better' if metric.lower_is_better else ''})"


def measured(results):
    return [metric for metric in METRICS if any(key == metric.key for _, key in results.values)]


def values_table(results, paths):
    rows = []
    for metric in measured(results):
        cells = []
        for path in paths:
            spread = results.spread(path, metric.key)
            cells.append(number(results.median(path, metric.key))
                         + (f" ±{spread / 2:.0%}" if spread is not None else ""))
        rows.append([title(metric), *cells])
    return table(["median, half the range", *paths], rows)


def ratio_table(results, paths):
    pairs = [pair for pair in RATIOS if pair[0] in paths and pair[1] in paths]
    if not pairs:
        return ""
    rows = [[title(metric)] + [number(results.ratio(*pair, metric.key)) for pair in pairs]
            for metric in measured(results)]
    return table(["ratio", *(f"{above} / {below}" for above, below in pairs)], rows)


def resume_table(results):
    rows = []
    for path, rounds in results.resume.items():
        for kind in rounds[0]:
            first, last = ([one[kind][i] for one in rounds] for i in (0, 1))
            rows.append([f"{path}, {kind}", number(statistics.median(first)),
                         number(statistics.median(last)), number(max(last))])
    return table(["resume of idle connections, ms", "first", "all (median)", "all (worst)"], rows)


def replay_table(results):
    rows = []
    for path, rounds in results.replay.items():
        def middle(field):
            return statistics.median(getattr(one, field) for one in rounds)
        rows.append([path, number(middle("first_ms")), number(middle("last_ms")),
                     number(middle("replayed_bytes") / 2**20), number(middle("gbps")),
                     number(middle("steady_gbps")),
                     number(statistics.median(one.gbps / one.steady_gbps for one in rounds))])
    return table(["bulk through an outage (silence)", "first byte, ms", "last replayed, ms", "MiB waited",
                  "Gbit/s until then", "steady Gbit/s", "ratio"], rows)
