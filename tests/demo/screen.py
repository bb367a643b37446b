"""What the demo shows: headings, marked lines, two rows redrawn in place on a terminal, a table."""
import os
import re
import shutil
import sys
import time

PLAIN_EVERY_S = 2.0
REDRAW_EVERY_S = 0.1
STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def width_of(text):
    return len(ESCAPES.sub("", text))


class Screen:
    def __init__(self, out=sys.stdout):
        self._out = out
        self.terminal = out.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._colours = self.terminal and not os.environ.get("NO_COLOR")
        self._unicode = "utf" in (out.encoding or "").lower()
        self._live_rows = 0
        self._drawn_at = 0.0

    # -- pieces ----------------------------------------------------------------------------------

    def style(self, text, *names):
        if not self._colours or not names:
            return text
        return f"\x1b[{';'.join(STYLES[name] for name in names)}m{text}\x1b[0m"

    def symbol(self, unicode, plain):
        return unicode if self._unicode else plain

    def mark(self, good):
        if good:
            return self.style(self.symbol("✓", "+"), "green", "bold")
        return self.style(self.symbol("✗", "x"), "red", "bold")

    def bar(self, fraction, cells, names):
        full = max(0, min(cells, round(fraction * cells)))
        done = self.symbol("█", "#") * full
        rest = self.symbol("░", ".") * (cells - full)
        return self.style(done, *names) + self.style(rest, "dim")

    @property
    def columns(self):
        return max(40, shutil.get_terminal_size((100, 24)).columns)

    # -- lines that stay -------------------------------------------------------------------------

    def line(self, text=""):
        self._erase()
        self._put(text + "\n")

    def heading(self, text):
        rule = self.symbol("─", "-")
        left = f"{rule}{rule} {text} "
        self.line()
        self.line(self.style(left + rule * max(3, min(78, self.columns) - len(left)), "bold"))

    # -- rows in place ---------------------------------------------------------------------------

    def live(self, rows, force=False):
        """The rows replace those shown last; without a terminal they become a plain line now and
        then."""
        now = time.monotonic()
        wait = REDRAW_EVERY_S if self.terminal else PLAIN_EVERY_S
        if now - self._drawn_at < wait and not force:
            return
        self._drawn_at = now
        if not self.terminal:
            self._put(ESCAPES.sub("", rows[0]) + "".join(
                "  " + " ".join(ESCAPES.sub("", row).split()) for row in rows[1:]) + "\n")
            return
        self._erase()
        self._put("\n".join(self._fit(row) for row in rows) + "\n")
        self._live_rows = len(rows)

    def _fit(self, row):
        """A row that wrapped could not be redrawn in place."""
        if width_of(row) < self.columns:
            return row
        return ESCAPES.sub("", row)[:self.columns - 1]

    def _erase(self):
        if self._live_rows:
            self._put(f"\x1b[{self._live_rows}A\x1b[J")
            self._live_rows = 0

    def end_live(self):
        """The rows shown last stay."""
        self._live_rows = 0

    def _put(self, text):
        if not self._unicode:
            text = text.encode(self._out.encoding or "ascii", "replace").decode(
                self._out.encoding or "ascii")
        self._out.write(text)
        self._out.flush()

    # -- table -----------------------------------------------------------------------------------

    def table(self, head, rows):
        """Rows of texts; the first column is a label."""
        widths = [max(width_of(row[i]) for row in [head, *rows]) for i in range(len(head))]

        def text(row, *names):
            cells = [cell + " " * (width - width_of(cell)) for cell, width in zip(row, widths)]
            return "  " + self.style("   ".join(cells).rstrip(), *names)
        self.line(text(head, "bold"))
        for row in rows:
            self.line(text(row))
