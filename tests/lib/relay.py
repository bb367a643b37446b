#!/usr/bin/python3
"""A TCP relay that injects faults between a client agent and a server agent.

Library:  relay = Relay(("127.0.0.1", 7443)).start(); relay.cut(); relay.stop()
Program:  relay.py --target HOST:PORT [--listen HOST:PORT] [--control PATH]
          relay.py ctl PATH COMMAND [ARGUMENT...]      (one line of JSON comes back)

"up" is client to server, "down" is server to client. Every fault may be switched at any time and
holds for the carriers of now and of later:

  cut            RST both sides of every carrier
  cut_fin        close both sides of every carrier in order (FIN); bytes on their way are lost
  freeze [DIR]   nothing is read or written (DIR: up, down, both); nothing is lost: thaw goes on
  thaw           end of freeze and blackhole; a carrier that lost bytes is reset
  blackhole DIR  bytes are read and thrown away, ends of the carrier too
  refuse/accept  close the listener (ECONNREFUSED) / open it again on the same port
  delay MS       each way
  rate BYTES/S   for each direction, all carriers together; 0: none
  chunk N        writes of 1..N bytes; 0: none
  cut_after N DIR  the carriers are cut right after byte N (counted from now) went on in DIR
  stats          counters

What becomes of connects while a direction is frozen or blackholed is the fault's `connects`:
"silent" (default: the SYN is not answered, as on a path that drops), "void" (the kernel answers,
nobody else does, until thaw) or "pass" (connected to the target; the bytes meet the fault).
"""
import argparse
import collections
import errno
import fcntl
import json
import os
import random
import select
import socket
import struct
import sys
import termios
import threading
import time

UP, DOWN = "up", "down"
BUFFER_BYTES = 256 * 1024
QUEUE_BYTES = 256 * 1024          # held per pipe when the path has no delay
DELAYED_QUEUE_BYTES = 32 << 20    # a delayed path holds its bandwidth-delay product
SENDS_PER_TURN = 256
FIN_LINGER_S = 1.0
RESET = struct.pack("ii", 1, 0)
AGAIN = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINPROGRESS)


def reset_close(sock):
    """Closes with a RST; harmless on a socket that is closed."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    except OSError:
        pass
    sock.close()


def unsent_bytes(sock):
    value = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
    return struct.unpack("i", value)[0]


def unread_bytes(sock):
    value = fcntl.ioctl(sock.fileno(), termios.FIONREAD, b"\0\0\0\0")
    return struct.unpack("i", value)[0]


def directions(name):
    if name == "both":
        return (UP, DOWN)
    if name not in (UP, DOWN):
        raise ValueError(f"direction must be up, down or both, not {name!r}")
    return (name,)


class Pipe:
    """One direction of one carrier."""
    __slots__ = ("carrier", "direction", "src", "dst", "queue", "queued", "eof", "finished",
                 "lost", "blocked", "waiting")

    def __init__(self, carrier, direction, src, dst):
        self.carrier, self.direction, self.src, self.dst = carrier, direction, src, dst
        self.queue = collections.deque()      # [due time, bytes]
        self.queued = 0
        self.eof = False                      # src has ended
        self.finished = False                 # ... and dst was told
        self.lost = False                     # something was thrown away
        self.blocked = False                  # dst's kernel takes no more
        self.waiting = False                  # a timer will write


class Carrier:
    def __init__(self, client):
        self.client = client
        self.server = None                    # dialled when the path is open
        self.connected = False
        self.closing = False                  # orderly close: what still comes is thrown away
        self.pipes = {}


class Relay:
    """The methods named in the module's text may be called from any thread, and are in force
    when they return. `port` stays the same through refuse and accept."""

    def __init__(self, target, listen=("127.0.0.1", 0), buffer_bytes=None, seed=0):
        self.target, self._listen_at, self._socket_buffer = tuple(target), tuple(listen), buffer_bytes
        self._random = random.Random(seed)
        self._listener = None
        self._dummies = set()
        self._silenced = False
        self._carriers = set()
        self._by_fd = {}
        self._masks = {}
        self._epoll = select.epoll()
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._frozen, self._holes, self._connects = set(), set(), "silent"
        self._delay_s, self._chunk = 0.0, 0
        self._rate = 0
        self._tokens = {UP: 0.0, DOWN: 0.0}
        self._tokens_at = time.monotonic()
        self._turns = {UP: [], DOWN: []}      # pipes that wait for tokens, the next one first
        self._cut_left = {UP: None, DOWN: None}
        self._bytes = {UP: 0, DOWN: 0}
        self._accepted = self._cuts = 0
        self._timers = []                     # (time, callable)
        self._commands = collections.deque()
        self._wake_r, self._wake_w = socket.socketpair()
        self._wake_r.setblocking(False)
        self._stopping = False
        self._thread = None
        self.error = None
        self._open_listener()
        self.address = self._listener.getsockname()
        self.port = self.address[1]
        self._listen_at = (self.address[0], self.port)

    # -- faults, from any thread ---------------------------------------------------------------

    def start(self):
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._thread.start()
        return self

    def stop(self):
        if self._thread and self._thread.is_alive():
            self._call(lambda: setattr(self, "_stopping", True))
            self._thread.join()
        if self.error:
            raise self.error

    def cut(self):
        self._call(self._cut_all)

    def cut_fin(self):
        self._call(lambda: [self._close_in_order(c) for c in list(self._carriers)])

    def freeze(self, direction="both", connects="silent"):
        self._call(lambda: self._impair(self._frozen, direction, connects))

    def blackhole(self, direction="both", connects="silent"):
        self._call(lambda: self._impair(self._holes, direction, connects))

    def thaw(self):
        self._call(self._heal)

    def refuse(self):
        self._call(self._close_listener)

    def accept(self):
        self._call(self._open_listener)

    def delay(self, milliseconds):
        self._call(lambda: setattr(self, "_delay_s", float(milliseconds) / 1000))

    def rate(self, bytes_per_second):
        self._call(lambda: self._set_rate(float(bytes_per_second or 0)))

    def chunk(self, max_bytes):
        self._call(lambda: setattr(self, "_chunk", int(max_bytes or 0)))

    def cut_after(self, byte_count, direction):
        (name,) = directions(direction)
        self._call(lambda: self._cut_left.__setitem__(name, int(byte_count)))

    def stats(self):
        return self._call(lambda: {
            "bytes_up": self._bytes[UP], "bytes_down": self._bytes[DOWN],
            "waiting_up": self._waiting(UP), "waiting_down": self._waiting(DOWN),
            "accepted": self._accepted, "cuts": self._cuts, "carriers": len(self._carriers),
            "port": self.port})

    def _waiting(self, direction):
        """Bytes that a sender's kernel gave and nobody has forwarded yet."""
        pipes = [c.pipes[direction] for c in self._carriers if c.pipes]
        return sum(pipe.queued + unread_bytes(pipe.src) for pipe in pipes)

    # -- the loop -----------------------------------------------------------------------------

    def _call(self, action):
        if threading.current_thread() is self._thread or not (
                self._thread and self._thread.is_alive()):
            return action()
        done, result = threading.Event(), []

        def run():
            try:
                result.append((action(), None))
            except Exception as error:  # handed to the caller
                result.append((None, error))
            done.set()
        self._commands.append(run)
        self._wake_w.send(b"x")
        if not done.wait(10):
            raise RuntimeError("the relay's loop does not answer")
        if result[0][1]:
            raise result[0][1]
        return result[0][0]

    def _run(self):
        try:
            self._epoll.register(self._wake_r, select.EPOLLIN)
            while not self._stopping:
                for fd, _ in self._epoll.poll(self._timeout()):
                    self._dispatch(fd)
                self._run_timers()
        except Exception as error:  # shown by stop()
            self.error = error
            raise
        finally:
            self._cut_all()
            self._close_listener()
            self._epoll.close()
            self._wake_r.close()
            self._wake_w.close()

    def _timeout(self):
        return max(0.0, min(t for t, _ in self._timers) - time.monotonic()) if self._timers else -1

    def _run_timers(self):
        now = time.monotonic()
        due = [t for t in self._timers if t[0] <= now]
        if due:
            self._timers = [t for t in self._timers if t[0] > now]
            for _, action in due:
                action()

    def _dispatch(self, fd):
        if fd == self._wake_r.fileno():
            self._wake_r.recv(4096)
            while self._commands:
                self._commands.popleft()()
        elif self._listener and fd == self._listener.fileno():
            self._accept_all()
        elif fd in self._by_fd:
            self._serve(self._by_fd[fd], fd)

    def _serve(self, carrier, fd):
        if not carrier.connected:
            if carrier.server and fd == carrier.server.fileno():
                self._connect_done(carrier)
            return
        for pipe in carrier.pipes.values():
            if carrier not in self._carriers:
                return
            if pipe.src.fileno() == fd:
                self._read(pipe)
            elif pipe.dst.fileno() == fd and pipe.blocked:
                pipe.blocked = False
                self._write(pipe)
        if carrier in self._carriers:
            self._arm(carrier)

    # -- listener -----------------------------------------------------------------------------

    def _open_listener(self):
        if self._listener:
            return
        family = socket.AF_INET6 if ":" in self._listen_at[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._socket_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._socket_buffer)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._socket_buffer)
        sock.bind(self._listen_at)
        sock.listen(256)
        sock.setblocking(False)
        self._listener = sock
        self._epoll.register(sock, select.EPOLLIN)
        self._apply_connects()

    def _close_listener(self):
        if self._listener:
            self._unsilence()
            self._epoll.unregister(self._listener)
            self._listener.close()
            self._listener = None

    def _accept_all(self):
        while self._listener:
            try:
                sock, address = self._listener.accept()
            except OSError:
                return
            if address[1] in self._dummies:
                self._dummies.discard(address[1])
                sock.close()
                continue
            self._accepted += 1
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            carrier = Carrier(sock)
            self._carriers.add(carrier)
            self._by_fd[sock.fileno()] = carrier
            if self._connects == "pass" or not self._impaired():
                self._dial(carrier)

    def _impaired(self):
        return self._frozen or self._holes

    def _apply_connects(self):
        """True silence for connects: a full accept queue makes the kernel drop every SYN."""
        silent = self._impaired() and self._connects == "silent"
        if not silent:
            self._unsilence()
        elif self._listener and not self._silenced:
            self._accept_all()
            self._silenced = True
            self._epoll.unregister(self._listener)
            self._listener.listen(0)
            self._fill_queue()

    def _fill_queue(self):
        for _ in range(16):
            dummy = socket.socket(self._listener.family, socket.SOCK_STREAM)
            dummy.setblocking(False)
            dummy.connect_ex(self._listener.getsockname())
            writable = select.poll()           # select() ends at descriptor 1023
            writable.register(dummy, select.POLLOUT)
            connected = bool(writable.poll(20))
            if connected:
                self._dummies.add(dummy.getsockname()[1])
            dummy.close()
            if not connected:
                return
        raise RuntimeError("the accept queue does not fill")

    def _unsilence(self):
        if self._silenced:
            self._silenced = False
            self._listener.listen(256)
            self._epoll.register(self._listener, select.EPOLLIN)
            self._accept_all()

    # -- carriers -----------------------------------------------------------------------------

    def _dial(self, carrier):
        family = socket.AF_INET6 if ":" in self.target[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._socket_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._socket_buffer)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._socket_buffer)
        carrier.server = sock
        self._by_fd[sock.fileno()] = carrier
        status = sock.connect_ex(self.target)
        if status == 0 or status == errno.EINPROGRESS:
            self._set_mask(sock, select.EPOLLOUT)
        else:
            self._reset(carrier)

    def _connect_done(self, carrier):
        if carrier.server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._reset(carrier)
            return
        carrier.connected = True
        carrier.pipes = {UP: Pipe(carrier, UP, carrier.client, carrier.server),
                         DOWN: Pipe(carrier, DOWN, carrier.server, carrier.client)}
        self._arm(carrier)

    def _reset(self, carrier):
        self._forget(carrier)
        for sock in (carrier.client, carrier.server):
            if sock:
                reset_close(sock)

    def _forget(self, carrier):
        self._carriers.discard(carrier)
        for sock in (carrier.client, carrier.server):
            if sock:
                self._set_mask(sock, 0)
                self._by_fd.pop(sock.fileno(), None)

    def _cut_all(self):
        self._cuts += 1
        for carrier in list(self._carriers):
            self._reset(carrier)

    def _close_in_order(self, carrier):
        if not carrier.connected:
            self._forget(carrier)
            carrier.client.close()
            if carrier.server:
                carrier.server.close()
            return
        carrier.closing = True
        for pipe in carrier.pipes.values():
            pipe.queue.clear()
            pipe.queued = 0
            try:
                pipe.dst.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        self._arm(carrier)
        self._timers.append((time.monotonic() + FIN_LINGER_S, lambda: self._close(carrier)))

    def _close(self, carrier):
        if carrier in self._carriers:
            self._forget(carrier)
            carrier.client.close()
            carrier.server.close()

    # -- faults, in the loop -------------------------------------------------------------------

    def _impair(self, which, direction, connects):
        if connects not in ("silent", "void", "pass"):
            raise ValueError(f"connects must be silent, void or pass, not {connects!r}")
        which.update(directions(direction))
        self._connects = connects
        self._apply_connects()
        for carrier in self._carriers:
            for pipe in carrier.pipes.values():
                if pipe.direction in self._holes and pipe.queue:
                    self._drop_queue(pipe)
            self._arm(carrier)

    def _drop_queue(self, pipe):
        pipe.lost = True
        pipe.queue.clear()
        pipe.queued = 0

    def _heal(self):
        self._frozen.clear()
        self._holes.clear()
        self._apply_connects()
        for carrier in list(self._carriers):
            if any(pipe.lost for pipe in carrier.pipes.values()):
                self._reset(carrier)
            elif not carrier.server:
                self._dial(carrier)
            else:
                for pipe in carrier.pipes.values():
                    if carrier in self._carriers:
                        self._write(pipe)
                if carrier in self._carriers:
                    self._arm(carrier)

    def _set_rate(self, rate):
        self._rate = rate
        self._tokens = {UP: 0.0, DOWN: 0.0}
        self._tokens_at = time.monotonic()

    # -- bytes --------------------------------------------------------------------------------

    def _arm(self, carrier):
        """What epoll shall tell of the carrier's sockets, from the state of its pipes."""
        if not carrier.connected:
            return
        masks = {carrier.client: 0, carrier.server: 0}
        for pipe in carrier.pipes.values():
            if self._may_read(pipe):
                masks[pipe.src] |= select.EPOLLIN
            if pipe.blocked and not carrier.closing and pipe.direction not in self._frozen:
                masks[pipe.dst] |= select.EPOLLOUT
        for sock, mask in masks.items():
            self._set_mask(sock, mask)

    def _may_read(self, pipe):
        if pipe.eof or pipe.direction in self._frozen:
            return False
        if pipe.carrier.closing or pipe.direction in self._holes:
            return True
        return pipe.queued < (DELAYED_QUEUE_BYTES if self._delay_s else QUEUE_BYTES) and not (
            pipe.blocked and not self._delay_s)

    def _set_mask(self, sock, mask):
        fd = sock.fileno()
        old = self._masks.get(fd, 0)
        if fd < 0 or old == mask:
            return
        if not mask:
            self._epoll.unregister(fd)
            del self._masks[fd]
        elif old:
            self._epoll.modify(fd, mask)
            self._masks[fd] = mask
        else:
            self._epoll.register(fd, mask)
            self._masks[fd] = mask

    def _read(self, pipe):
        if not self._may_read(pipe):
            return
        try:
            count = pipe.src.recv_into(self._buffer)
        except OSError as error:
            if error.errno not in AGAIN:
                self._broken(pipe, pipe.direction)
            return
        if pipe.carrier.closing or pipe.direction in self._holes:
            pipe.lost = True
            pipe.eof = count == 0
            if pipe.carrier.closing and all(p.eof for p in pipe.carrier.pipes.values()):
                self._close(pipe.carrier)
            return
        if count == 0:
            pipe.eof = True
            self._finish(pipe)
            return
        offset = 0
        if not pipe.queue and self._unhindered(pipe.direction):
            offset = self._send(pipe, self._buffer[:count])
        if offset < count and pipe.carrier in self._carriers:
            due = time.monotonic() + self._delay_s
            pipe.queue.append([due, bytes(self._buffer[offset:count])])
            pipe.queued += count - offset
            if not pipe.blocked:
                self._write(pipe)

    def _unhindered(self, direction):
        return not (self._delay_s or self._rate or self._chunk) and self._cut_left[direction] is None

    def _send(self, pipe, data):
        try:
            sent = pipe.dst.send(data)
        except OSError as error:
            if error.errno in AGAIN:
                pipe.blocked = True
                return 0
            self._broken(pipe, UP if pipe.direction == DOWN else DOWN)
            return len(data)
        self._bytes[pipe.direction] += sent
        pipe.blocked = sent < len(data)
        return sent

    def _broken(self, pipe, news_direction):
        """A socket of the carrier is dead; the other side hears of it unless the path eats it."""
        if news_direction in self._holes or news_direction in self._frozen:
            pipe.lost = pipe.eof = True
            self._drop_queue(pipe)
        else:
            self._reset(pipe.carrier)

    def _write(self, pipe):
        if pipe.direction in self._frozen or pipe.direction in self._holes or pipe.carrier.closing:
            return
        for _ in range(SENDS_PER_TURN):
            if not pipe.queue:
                break
            now = time.monotonic()
            due, data = pipe.queue[0]
            wait = due - now if due > now else self._token_wait(pipe, now)
            if wait > 0:
                self._later(pipe, now + wait)
                return
            if not self._write_some(pipe, data):
                return
        if pipe.queue:
            self._later(pipe, 0)
        else:
            self._finish(pipe)

    def _write_some(self, pipe, data):
        """One send within the limits in force; False when the pipe must wait or has ended."""
        size = len(data)
        if self._chunk:
            size = min(size, self._random.randint(1, self._chunk))
        if self._rate:
            size = min(size, max(1, int(self._tokens[pipe.direction])))
        left = self._cut_left[pipe.direction]
        if left is not None:
            size = min(size, left)
        sent = self._send(pipe, memoryview(data)[:size]) if size else 0
        if pipe.carrier not in self._carriers or not pipe.queue:
            return False
        if self._rate:
            self._tokens[pipe.direction] -= sent
            self._turns[pipe.direction].remove(pipe)
        pipe.queued -= sent
        if sent == len(data):
            pipe.queue.popleft()
        elif sent:
            pipe.queue[0][1] = data[sent:]
        if left is not None:
            self._cut_left[pipe.direction] = left - sent
            if left == sent:
                self._cut_here(pipe)
                return False
        return not pipe.blocked

    def _cut_here(self, pipe):
        """A RST overtakes what our kernel still holds: wait till the other side has it."""
        self._cut_left[pipe.direction] = None
        deadline = time.monotonic() + 0.5
        while unsent_bytes(pipe.dst) and time.monotonic() < deadline:
            time.sleep(0.0005)
        self._cut_all()

    def _token_wait(self, pipe, now):
        """Seconds until the pipe may send: each has its turn, or a busy one would starve the rest."""
        if not self._rate:
            return 0
        direction = pipe.direction
        turns = self._turns[direction]
        turns[:] = [p for p in turns if p.queue and not p.blocked
                    and not p.carrier.closing and p.carrier in self._carriers]
        if pipe not in turns:
            turns.append(pipe)
        passed, self._tokens_at = now - self._tokens_at, now
        burst = max(1500.0, self._rate / 100)
        for name in (UP, DOWN):
            self._tokens[name] = min(burst, self._tokens[name] + passed * self._rate)
        packet = min(1500.0, burst)
        missing = (turns.index(pipe) + 1) * packet - self._tokens[direction]
        return missing / self._rate if missing > 0 else 0

    def _later(self, pipe, when):
        if pipe.waiting:
            return
        pipe.waiting = True

        def go():
            pipe.waiting = False
            if pipe.carrier in self._carriers:
                self._write(pipe)
                if pipe.carrier in self._carriers:
                    self._arm(pipe.carrier)
        self._timers.append((when, go))

    def _finish(self, pipe):
        if not pipe.eof or pipe.queue or pipe.finished or pipe.direction in self._frozen:
            return
        pipe.finished = True
        try:
            pipe.dst.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        if all(p.finished for p in pipe.carrier.pipes.values()):
            self._close(pipe.carrier)


# -- as a program ------------------------------------------------------------------------------

COMMANDS = ("cut", "cut_fin", "freeze", "thaw", "blackhole", "refuse", "accept", "delay", "rate",
            "chunk", "cut_after", "stats")


def run_command(relay, line):
    words = line.split()
    if not words or words[0] not in COMMANDS:
        return {"error": f"unknown command, one of: {' '.join(COMMANDS)}"}
    try:
        return {"ok": True, "result": getattr(relay, words[0])(*words[1:])}
    except (TypeError, ValueError) as error:
        return {"error": str(error)}


def serve_control(relay, path):
    if os.path.exists(path):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path + ".new")
    listener.listen(16)
    os.rename(path + ".new", path)           # whoever sees it can connect

    def talk(sock):
        with sock, sock.makefile("rw") as stream:
            for line in stream:
                stream.write(json.dumps(run_command(relay, line)) + "\n")
                stream.flush()
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=talk, args=(sock,), daemon=True).start()


class RemoteRelay:
    """The methods of Relay, over the control socket of one that runs as a program."""

    def __init__(self, path):
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sock.settimeout(15)
        self._sock.connect(path)
        self._stream = self._sock.makefile("rw")
        self._lock = threading.Lock()
        self.port = self.stats()["port"]

    def command(self, line):
        with self._lock:
            self._stream.write(line + "\n")
            self._stream.flush()
            answer = json.loads(self._stream.readline())
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer["result"]

    def __getattr__(self, name):
        if name not in COMMANDS:
            raise AttributeError(name)
        return lambda *arguments: self.command(" ".join([name, *map(str, arguments)]))

    def close(self):
        self._stream.close()
        self._sock.close()


def parse_address(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def main(arguments):
    if arguments[:1] == ["ctl"]:
        if len(arguments) < 3:
            sys.exit("usage: relay.py ctl PATH COMMAND [ARGUMENT...]")
        try:
            print(json.dumps(RemoteRelay(arguments[1]).command(" ".join(arguments[2:]))))
        except (OSError, ValueError) as error:
            sys.exit(f"relay.py: {error}")
        return
    parser = argparse.ArgumentParser(description="A TCP relay that injects faults.")
    parser.add_argument("--target", required=True, type=parse_address)
    parser.add_argument("--listen", default=("127.0.0.1", 0), type=parse_address)
    parser.add_argument("--control", help="path of the Unix socket that takes commands")
    options = parser.parse_args(arguments)
    relay = Relay(options.target, options.listen).start()
    print(f"{relay.address[0]}:{relay.port}", flush=True)
    try:
        if options.control:
            serve_control(relay, options.control)
        else:
            for line in sys.stdin:
                print(json.dumps(run_command(relay, line)), flush=True)
    except KeyboardInterrupt:
        pass
    finally:
        relay.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
