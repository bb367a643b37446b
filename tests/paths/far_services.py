"""The services at the far end of a lab: a sink, a source and an echo, on threads of this program."""
import socket
import threading

CHUNK_BYTES = 256 * 1024
SIZE_DIGITS = 20
TOKEN_BYTES = 16


class FarServices:
    """Made in the far namespace; start() outside of it (threads stay where they are started).

    sink    reads to the end and answers with how many bytes it read
    source  reads SIZE_DIGITS digits and sends so many bytes
    echo    sends back what comes
    hold    accepts, and says nothing
    tally   reads TOKEN_BYTES that name the stream and to the end; `tally` has what has come of each
    """

    def __init__(self):
        self._listeners = {name: self._listen() for name in ("sink", "source", "echo", "hold", "tally")}
        self.ports = {name: sock.getsockname()[1] for name, sock in self._listeners.items()}
        self._sockets = []
        self.tally = {}

    @staticmethod
    def _listen():
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("0.0.0.0", 0))
        sock.listen(1024)
        return sock

    def start(self):
        for name, listener in self._listeners.items():
            self._thread(self._accept, listener, getattr(self, f"_{name}"))

    def close(self):
        for sock in (*self._listeners.values(), *self._sockets):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()

    @staticmethod
    def _thread(function, *arguments):
        threading.Thread(target=function, args=arguments, daemon=True).start()

    def _accept(self, listener, serve):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets.append(sock)
            if serve != self._hold:
                self._thread(self._serve, sock, serve)

    @staticmethod
    def _serve(sock, serve):
        try:
            serve(sock)
            sock.shutdown(socket.SHUT_WR)
        except (OSError, ValueError):
            pass                        # the application's side tells what went wrong

    @staticmethod
    def _sink(sock):
        total, buffer = 0, bytearray(CHUNK_BYTES)
        while count := sock.recv_into(buffer):
            total += count
        sock.sendall(b"%d" % total)

    @staticmethod
    def _source(sock):
        digits = b""
        while len(digits) < SIZE_DIGITS:
            digits += sock.recv(SIZE_DIGITS - len(digits)) or bytes(SIZE_DIGITS)
        left, chunk = int(digits), bytes(CHUNK_BYTES)
        while left > 0:
            left -= sock.send(memoryview(chunk)[:left])

    def _tally(self, sock):
        token, buffer = b"", bytearray(CHUNK_BYTES)
        while len(token) < TOKEN_BYTES:
            token += sock.recv(TOKEN_BYTES - len(token)) or bytes(TOKEN_BYTES)
        while count := sock.recv_into(buffer):
            self.tally[token] = self.tally.get(token, 0) + count

    def _hold(self, sock):
        """No thread for each: there may be thousands."""

    @staticmethod
    def _echo(sock):
        while data := sock.recv(65536):
            sock.sendall(data)
