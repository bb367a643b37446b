"""memcached: counting, and large values back and forth, on one connection each."""
import hashlib
import os
import socket

from application import Application
from pair import free_port
from run import expect

VALUE_BYTES = 200_000


class App(Application):
    title = "memcached"
    packages = ["memcached"]

    def start(self, programs):
        self._port = free_port()
        programs.start_listening(["memcached", "-u", "root", "-l", programs.host, "-p", self._port],
                                 self._port, "memcached.log")
        return self._port

    def remove(self):
        """It kept nothing."""

    def workloads(self):
        return {"incr": self.counting, "large values": self.values}

    @staticmethod
    def _ask(file, words):
        file.write(words)
        file.flush()
        answer = file.readline()
        expect(answer, "the connection ended")
        return answer

    def counting(self, run):
        key = f"n-{run.way}".encode()
        with socket.create_connection(run.address) as sock, sock.makefile("rwb") as file:
            self._ask(file, b"set %s 0 0 1\r\n0\r\n" % key)

            def step(number):
                answer = self._ask(file, b"incr %s 1\r\n" % key)
                expect(answer == b"%d\r\n" % (number + 1), f"{answer} after {number}")
            run.steadily(step)

    def values(self, run):
        key = f"v-{run.way}".encode()
        with socket.create_connection(run.address) as sock, sock.makefile("rwb") as file:
            def step(number):
                value = os.urandom(VALUE_BYTES)
                self._ask(file, b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value))
                self._ask(file, b"get %s\r\n" % key)
                back = file.read(len(value))
                expect(file.readline() == b"\r\n" and file.readline() == b"END\r\n", "no end of a value")
                expect(hashlib.sha256(back).digest() == hashlib.sha256(value).digest(), "another value")
            run.steadily(step, pace_s=0.2)
