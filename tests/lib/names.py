"""Names of their own for agents: an /etc/hosts, resolv.conf and nsswitch.conf that only they see (a
mount namespace), and a name server on the loopback that says what it is told, or nothing. Needs root.
"""
import contextlib
import itertools
import os
import socket
import struct
import subprocess
import threading

_numbers = itertools.count(1)
FILES = ("hosts", "resolv.conf", "nsswitch.conf")
# For sh, before a command's words: the command keeps the shell's pid.
_MOUNT = ("mount --make-rprivate / && "
          + " && ".join(f'mount --bind "$0/{name}" /etc/{name}' for name in FILES) + ' && exec "$@"')


def why_unavailable():
    """None where agents can have names of their own, else the reason."""
    if os.geteuid() != 0:
        return "mount namespaces need root"
    result = subprocess.run(["unshare", "-m", "mount", "--make-rprivate", "/"], capture_output=True,
                            text=True)
    return f"no mount namespace: {result.stderr.strip()}" if result.returncode else None


class NameServer:
    """Answers for `addresses` (name: IPv4 address); of other names it says nothing at all."""

    def __init__(self):
        self.addresses, self.asked = {}, set()
        self.host = f"127.{os.getpid() >> 8 & 127 | 64}.{os.getpid() & 255}.{next(_numbers)}"
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((self.host, 53))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self):
        self._socket.sendto(b"", (self.host, 53))
        self._thread.join()
        self._socket.close()

    def _serve(self):
        while True:
            try:
                question, asker = self._socket.recvfrom(2048)
            except OSError:
                return
            if not question:
                return
            labels, at = [], 12
            while question[at]:
                labels.append(question[at + 1:at + 1 + question[at]].decode())
                at += 1 + question[at]
            end = at + 5
            kind, = struct.unpack("!H", question[at + 1:at + 3])
            self.asked.add(".".join(labels))
            address = self.addresses.get(".".join(labels))
            if address is None:
                continue
            records = struct.pack("!HHHIH", 0xc00c, 1, 1, 0, 4) + socket.inet_aton(address)
            header = question[:2] + struct.pack("!HHHHH", 0x8180, 1, int(kind == 1), 0, 0)
            self._socket.sendto(header + question[12:end] + (records if kind == 1 else b""), asker)


class Names:
    """For Agent's `space`."""

    def __init__(self, folder):
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.server = NameServer()
        self.hosts()
        self.ask(self.server)
        self._write("nsswitch.conf", "hosts: files dns\n")

    def close(self):
        self.server.close()

    @property
    def prefix(self):
        return ["unshare", "-m", "sh", "-c", _MOUNT, self.folder]

    def enter(self):
        """The network is everybody's."""
        return contextlib.nullcontext()

    def hosts(self, *pairs):
        """(name, address) ...; in the order in which they stand in /etc/hosts."""
        self._write("hosts", "127.0.0.1 localhost\n"
                    + "".join(f"{address} {name}\n" for name, address in pairs))

    def ask(self, server):
        self._write("resolv.conf", f"nameserver {server.host}\n")

    def _write(self, name, text):
        # In place: it is mounted.
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)
