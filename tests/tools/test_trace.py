"""scripts/trace: two traces side by side."""
import os
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TRACES = os.path.join(HERE, "traces")
PROGRAM = os.path.join(HERE, "..", "..", "scripts", "trace")
CLIENT, SERVER = (os.path.join(TRACES, f"{side}.jsonl") for side in ("client", "server"))


def trace(*words, text=None):
    return subprocess.run([sys.executable, PROGRAM, *words], input=text, capture_output=True,
                          text=True, timeout=20)


def events(result):
    """The lines without the heading, as (client's text, server's text)."""
    assert result.returncode == 0, result.stderr
    return [tuple(" ".join(part.split()) for part in line[14:].split("|"))
            for line in result.stdout.splitlines()[2:]]


class TraceTest(unittest.TestCase):
    maxDiff = None

    def test_two_golden_traces_are_merged_by_time(self):
        with open(os.path.join(TRACES, "both.txt")) as file:
            self.assertEqual(trace(CLIENT, SERVER).stdout, file.read())

    def test_one_file_with_both_sides_reads_the_same(self):
        both = ""
        for path in (SERVER, CLIENT):
            with open(path) as file:
                both += file.read()
        self.assertEqual(trace("-", text=both).stdout, trace(CLIENT, SERVER).stdout)

    def test_arrows_point_from_the_sender_to_the_receiver(self):
        shown = events(trace(CLIENT, SERVER))
        self.assertIn(("HELLO ------>", ""), shown)
        self.assertIn(("", "------> HELLO"), shown)
        self.assertIn(("", "<------ WELCOME"), shown)
        self.assertIn(("WELCOME <------", ""), shown)

    def test_a_stream_is_picked_with_the_events_of_the_link(self):
        shown = events(trace(CLIENT, SERVER, "--id", "2"))
        self.assertIn(("OPEN 2 ------>", ""), shown)
        self.assertIn(("HELLO ------>", ""), shown)
        self.assertNotIn(("OPEN 1 ------>", ""), shown)

    def test_a_stream_can_be_shown_alone(self):
        self.assertEqual(events(trace(CLIENT, SERVER, "--id", "2", "--only")),
                         [("OPEN 2 ------>", ""), ("", "<------ RESET 2 (target_refused)"),
                          ("RESET 2 (target_refused) <------", "")])

    def test_a_carrier_is_not_taken_for_the_stream_of_the_same_number(self):
        self.assertNotIn(("* carrier_down 1", ""),
                         events(trace(CLIENT, SERVER, "--id", "1", "--only")))

    def test_a_span_of_time_is_picked(self):
        shown = events(trace(CLIENT, SERVER, "--from", "1.06", "--to", "1.065"))
        self.assertEqual(shown, [("ACK n=1 <------", "")])

    def test_another_link_is_left_out(self):
        self.assertEqual(events(trace(CLIENT, SERVER, "--link", "ffffffff")), [])
        self.assertEqual(len(events(trace(CLIENT, SERVER, "--link", "3fa9c1d2"))), 17)

    def test_a_line_that_is_no_event_is_named(self):
        result = trace("-", text='{"t":1,"side":"client","event":"send"}\nnonsense\n')
        self.assertEqual(result.returncode, 1)
        self.assertIn("-:2:", result.stderr)

    def test_a_missing_file_is_an_error(self):
        result = trace("/nonexistent")
        self.assertEqual(result.returncode, 1)
        self.assertIn("/nonexistent", result.stderr)

    def test_help_shows_examples(self):
        self.assertIn("--id 17", trace("--help").stdout)


if __name__ == "__main__":
    unittest.main()
