"""The unmodified programs that live through the cuts: curl and two redis-cli, and what drives them.

They are started by the main thread; each has a thread here that reads what it says.
"""
import hashlib
import os
import pty
import re
import select
import socket
import subprocess
import termios
import threading
import time

PACE_S = 0.1
INTEGER = re.compile(r"\(integer\) (\d+)")
TROUBLE = re.compile(r"(?:Error: |Could not connect)[^\r\n]*")


def megabytes(count):
    return f"{count / 1e6:.1f} MB"


class Download:
    """curl, fetching a file that is there to be compared with."""

    def __init__(self, programs, port, folder, source):
        self._programs, self._source = programs, source
        self._path = os.path.join(folder, f"download-{port}-{time.monotonic_ns()}")
        self._errors = self._path + ".err"
        self.size = os.path.getsize(source)
        with open(self._errors, "wb") as errors:
            self.process = programs.start(
                ["curl", "--silent", "--show-error", "--fail", "--noproxy", "*", "--max-time", "300",
                 "--output", self._path, f"http://127.0.0.1:{port}/{os.path.basename(source)}"],
                stdout=errors, stderr=errors)

    @property
    def received(self):
        try:
            return os.path.getsize(self._path)
        except FileNotFoundError:
            return 0

    @property
    def ended(self):
        return self.process.poll() is not None

    def said(self):
        with open(self._errors, errors="replace") as file:
            return " ".join(file.read().split())

    def exact(self):
        return self.process.poll() == 0 and sha256(self._path) == sha256(self._source)

    def digest(self):
        return sha256(self._path)

    def stop(self):
        self._programs.stop(self.process)
        for path in (self._path, self._errors):
            if os.path.exists(path):
                os.unlink(path)


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class Session:
    """An interactive redis-cli on a terminal of its own, where somebody types INCR every 100 ms and
    reads each answer before the next."""

    def __init__(self, programs, port, key):
        self._programs, self._key = programs, key
        self.typed = 0
        self.answers = []
        self.trouble = None
        self.connection = self.connection_at_end = None
        self.slowest_s = 0.0
        self._leave = threading.Event()
        self._terminal, inner = pty.openpty()
        settings = termios.tcgetattr(inner)
        settings[3] &= ~termios.ECHO
        termios.tcsetattr(inner, termios.TCSANOW, settings)
        # A dumb terminal: redis-cli then redraws nothing and its lines can be read.
        environment = {**os.environ, "TERM": "dumb", "HOME": programs.folder}
        self.process = programs.start(["redis-cli", "-h", "127.0.0.1", "-p", port], stdin=inner,
                                      stdout=inner, stderr=inner, env=environment,
                                      start_new_session=True)
        os.close(inner)
        self._thread = threading.Thread(target=self._type, daemon=True)
        self._thread.start()

    def _type(self):
        self.connection = self._ask("CLIENT ID")
        due = time.monotonic()
        while self.trouble is None and not self._leave.is_set():
            self.typed += 1
            asked = time.monotonic()
            answer = self._ask(f"INCR {self._key}")
            if answer is not None:
                self.answers.append(answer)
                self.slowest_s = max(self.slowest_s, time.monotonic() - asked)
            due = max(due + PACE_S, time.monotonic())
            self._leave.wait(due - time.monotonic())
        if self.trouble is None:
            self.connection_at_end = self._ask("CLIENT ID")

    def _ask(self, command):
        """The number that redis-cli prints, or None when it prints trouble or we shall stop."""
        try:
            os.write(self._terminal, command.encode() + b"\n")
            text = ""
            while True:
                if not select.select([self._terminal], [], [], 0.2)[0]:
                    if self.process.poll() is not None:
                        self.trouble = "redis-cli ended"
                        return None
                    continue
                text += os.read(self._terminal, 4096).decode(errors="replace")
                if found := TROUBLE.search(text):
                    self.trouble = found[0]
                    return None
                if (found := INTEGER.search(text)) and text.rstrip().endswith(">"):
                    return int(found[1])
        except OSError:
            self.trouble = self.trouble or "redis-cli ended"
            return None

    def finish(self, seconds):
        """No more typing; True when the last answer has come."""
        self._leave.set()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def exact(self):
        return self.trouble is None and self.answers == list(range(1, self.typed + 1))

    def same_connection(self):
        return self.connection is not None and self.connection == self.connection_at_end

    def stop(self):
        self._leave.set()
        self._programs.stop(self.process)
        self._thread.join(2)
        if self._terminal is not None:
            os.close(self._terminal)
            self._terminal = None


class Subscriber:
    """redis-cli SUBSCRIBE; `messages` are the numbers it printed."""

    def __init__(self, programs, port, channel):
        self._programs = programs
        self.messages = []
        self.trouble = None
        self.subscribed = threading.Event()
        self.process = programs.start(
            ["redis-cli", "-h", "127.0.0.1", "-p", port, "SUBSCRIBE", channel],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "HOME": programs.folder})
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        """Three lines a message: kind, channel, text."""
        while kind := self.process.stdout.readline():
            if kind.startswith(("Error", "Could not connect")):
                self.trouble = kind.strip()
                continue
            self.process.stdout.readline()
            text = self.process.stdout.readline().strip()
            if kind.strip() == "subscribe":
                self.subscribed.set()
            elif kind.strip() == "message":
                self.messages.append(int(text))
        self.trouble = self.trouble or "redis-cli ended"

    def exact(self, published):
        return self.trouble is None and self.messages == list(range(1, published + 1))

    def stop(self):
        self._programs.stop(self.process)
        self._thread.join(2)
        self.process.stdout.close()


class RedisBeside:
    """Our own connection to Redis, beside the path that is cut: publishes and counts."""

    def __init__(self, port):
        self._sock = socket.create_connection(("127.0.0.1", port), 5)
        self._stream = self._sock.makefile("rwb")
        self._lock = threading.Lock()

    def ask(self, *words):
        """One command; its answer as a text."""
        parts = [f"${len(word)}\r\n{word}\r\n" for word in map(str, words)]
        with self._lock:
            self._stream.write((f"*{len(parts)}\r\n" + "".join(parts)).encode())
            self._stream.flush()
            first = self._stream.readline().decode().rstrip("\r\n")
            if first.startswith("$") and first != "$-1":
                body = self._stream.read(int(first[1:]) + 2)
                return body[:-2].decode()
        return "" if first == "$-1" else first[1:]

    def counted(self, key):
        return int(self.ask("GET", key) or 0)

    def connections_received(self):
        return int(re.search(r"total_connections_received:(\d+)", self.ask("INFO", "stats"))[1])

    def close(self):
        self._stream.close()
        self._sock.close()


class Publisher:
    """Publishes 1, 2, 3 ... every 100 ms, beside the path."""

    def __init__(self, redis, channel):
        self._redis, self._channel = redis, channel
        self.published = 0
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self._thread.start()

    def _run(self):
        while not self._leave.wait(PACE_S):
            self._redis.ask("PUBLISH", self._channel, self.published + 1)
            self.published += 1

    def stop(self):
        self._leave.set()
        if self._thread.is_alive():
            self._thread.join(2)
