"""The demo's own judgement: pauses, exactness, rows in place."""
import io

import watching
from screen import Screen, width_of
from visitors import Session, Subscriber


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


class Pipe(io.StringIO):
    encoding = "ascii"


def flow(*arrivals):
    found = watching.Flow()
    found._arrivals = [(t, number + 1) for number, t in enumerate(arrivals)]
    return found


def test_the_pause_is_the_one_around_the_paths_return():
    assert flow(1.0, 2.02, 5.5, 5.52).pause(2.0, 5.0) == (2.02, 5.5)


def test_a_later_pause_is_not_the_cuts():
    assert flow(1.0, 2.02, 2.04, 2.06, 2.26, 9.0).pause(2.0, 2.0) == (2.06, 2.26)


def judged(answers, typed):
    session = Session.__new__(Session)
    session.trouble, session.answers, session.typed = None, answers, typed
    return session.exact()


def test_incr_is_exact_only_when_none_is_lost_or_doubled():
    assert judged([1, 2, 3], 3)
    assert not judged([1, 2], 3)
    assert not judged([1, 2, 4], 3)
    assert not judged([1, 2, 2], 3)


def test_messages_are_exact_only_in_order_and_complete():
    listener = Subscriber.__new__(Subscriber)
    listener.trouble = None
    for messages, exact in (([1, 2, 3], True), ([1, 3], False), ([1, 3, 2], False),
                            ([1, 2, 2, 3], False)):
        listener.messages = messages
        assert listener.exact(3) == exact


def test_rows_are_redrawn_in_place_on_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    screen = Screen(out)
    screen.live(["one", "two"], force=True)
    screen.live(["three", "four"], force=True)
    assert out.getvalue() == "one\ntwo\n\x1b[2A\x1b[Jthree\nfour\n"


def test_a_row_never_wraps(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    out = Terminal()
    Screen(out).live(["x" * 200], force=True)
    assert width_of(out.getvalue().rstrip("\n")) == 59


def test_without_a_terminal_lines_are_plain_ascii():
    out = Pipe()
    screen = Screen(out)
    screen.live([screen.bar(0.5, 4, ["cyan"]), "  two"], force=True)
    screen.line(f"{screen.mark(True)} {screen.style('bold', 'bold')} ×")
    assert out.getvalue() == "##..  two\n+ bold ?\n"
