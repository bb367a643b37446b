"""Units, configs and agents under the systemd that `run` booted."""
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

STAGE = "/run/holdfast-test"
BIN = f"{STAGE}/bin"
CONFIG = f"{STAGE}/repository/config"
UNITS = "/etc/systemd/system"
ETC = "/etc/holdfast"
CLIENT, SERVER = "holdfast-client", "holdfast-server"
LINK_PORT, SERVICE_PORT = 7443, 5432
FAST = {"heartbeat": "200ms", "dead_after": "1s"}


# Of a busy machine: a wait ends when its condition is there.
PATIENCE_S = 60


def wait_until(condition, what, seconds=PATIENCE_S, step=0.02):
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(step)


def run(*words, check=True):
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(words)} exited with {done.returncode}:\n"
                             f"{done.stdout}{done.stderr}")
    return done


def systemctl(*words, check=True):
    return run("systemctl", "--no-pager", *words, check=check)


def show(unit, name):
    return systemctl("show", "--value", "-p", name, unit).stdout.strip()


def main_pid(unit):
    return int(show(unit, "MainPID"))


def agent_pid(unit):
    """Of the process that the unit's main process keeps; None while there is none."""
    keeper = main_pid(unit)
    with open(f"/proc/{keeper}/task/{keeper}/children") as file:
        for pid in map(int, file.read().split()):
            with open(f"/proc/{pid}/comm") as name:
                if name.read().startswith("holdfast-"):
                    return pid
    return None


def kept_agent(unit, dead_keeper, dead_agent):
    """As the unit's processes say it, which is sooner than asking systemd: of another keeper, and another agent. None
    while there is none."""
    try:
        with open(f"/sys/fs/cgroup/system.slice/{unit}.service/cgroup.procs") as file:
            pids = [int(line) for line in file]
        for pid in pids:
            with open(f"/proc/{pid}/stat") as file:
                parent = int(file.read().rpartition(") ")[2].split()[1])
            if parent in pids and parent != dead_keeper and pid != dead_agent:
                with open(f"/proc/{parent}/comm") as file:
                    if file.read() == "hf-keeper\n":
                        return pid
    except (OSError, ValueError, IndexError):
        pass
    return None


def wait_next_agent(unit, old_pid, seconds=PATIENCE_S):
    return wait_until(lambda: agent_pid(unit) not in (None, old_pid) and agent_pid(unit),
                      f"another agent of {unit} after {old_pid}", seconds)


def status_text(unit):
    return show(unit, "StatusText")


def wait_status(unit, pattern, seconds=PATIENCE_S):
    try:
        return wait_until(lambda: re.search(pattern, status_text(unit)), "", seconds)
    except AssertionError:
        raise AssertionError(f"{unit} says {status_text(unit)!r}, not {pattern!r}") from None


def wait_state(unit, state, seconds=PATIENCE_S):
    try:
        wait_until(lambda: show(unit, "ActiveState") == state, "", seconds)
    except AssertionError:
        raise AssertionError(f"{unit} is {show(unit, 'ActiveState')}, not {state}") from None


class Journal:
    """What the journal got since this was made."""

    def __init__(self):
        self.since = f"@{time.time():.6f}"

    def _read(self, unit, form, *matches):
        run("journalctl", "--sync")
        return run("journalctl", "--no-pager", "--since", self.since, "-o", form, "-u", unit,
                   *matches).stdout

    def events(self, unit, **fields):
        """The unit's entries that have these fields, oldest first."""
        output = self._read(unit, "json", *(f"{key}={value}" for key, value in fields.items()))
        return [json.loads(line) for line in output.splitlines()]

    def text(self, unit):
        return self._read(unit, "cat")


def toml(table, path=()):
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items()
             if not isinstance(value, dict)]
    if path:
        lines.insert(0, f"[{'.'.join(path)}]")
    for key, value in table.items():
        if isinstance(value, dict):
            lines.append(toml(value, path + (key,)))
    return "\n".join(lines) + "\n"


def install_units():
    """The units as they are shipped, but for where the programs are."""
    folder = f"{CONFIG}/systemd"
    for name in os.listdir(folder):
        if not name.endswith(".service"):
            continue
        with open(f"{folder}/{name}") as file:
            text = file.read()
        assert f"/usr/bin/{name.split('.')[0].rstrip('@')}" in text
        write(f"{UNITS}/{name}", text.replace("/usr/bin/holdfast-", f"{BIN}/holdfast-"))


def write(path, text, mode=0o644, owner=None):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        os.chmod(path, mode)
        file.write(text)
    if owner:
        shutil.chown(path, owner, owner)


def drop_in(unit, text):
    write(f"{UNITS}/{unit}.service.d/test.conf", text)
    systemctl("daemon-reload")


def write_key(path, owner="holdfast"):
    write(path, run(f"{BIN}/holdfast-client", "genpsk").stdout, 0o600, owner)


def client_config(**changes):
    config = {"name": "edge-1",
              "link": {"server": [f"127.0.0.1:{LINK_PORT}"], "psk_file": f"{ETC}/edge-1.psk", **FAST},
              "services": {"postgres": {"listen": f"127.0.0.1:{SERVICE_PORT}"}},
              "log": {"format": "journal"}}
    return {**config, **changes}


def server_config(target, **changes):
    config = {"name": "hub-1",
              "link": {"listen": [f"127.0.0.1:{LINK_PORT}"]},
              "clients": {"edge-1": {"psk_file": f"{ETC}/edge-1.psk", "services": ["postgres"]}},
              "services": {"postgres": {"target": f"127.0.0.1:{target}"}},
              "log": {"format": "journal"}}
    return {**config, **changes}


class Echo:
    """A service that sends back what it gets."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    @staticmethod
    def _serve(sock):
        with sock:
            try:
                while data := sock.recv(65536):
                    sock.sendall(data)
            except OSError:
                pass

    def close(self):
        self.listener.close()


def dial(port=SERVICE_PORT):
    sock = socket.create_connection(("127.0.0.1", port), timeout=10)
    sock.settimeout(10)
    return sock


def exchange(sock, data=b"bytes through the tunnel"):
    sock.sendall(data)
    got = b""
    while len(got) < len(data):
        piece = sock.recv(65536)
        assert piece, f"ended after {len(got)} of {len(data)} bytes"
        got += piece
    assert got == data


class Standstill:
    """Stops one thread of a process, and no other, as a debugger does, until it is killed."""
    SEIZE, INTERRUPT, WAIT_ALL = 0x4206, 0x4207, 0x40000000

    def __init__(self, thread):
        self.thread = thread
        self.libc = ctypes.CDLL(None, use_errno=True)
        for request in (self.SEIZE, self.INTERRUPT):
            if self.libc.ptrace(request, thread, None, None) != 0:
                raise OSError(ctypes.get_errno(), f"ptrace {request:#x}")

    def wait_killed(self):
        """Whoever traces a process must look at its end before its parent may."""
        while True:
            status = os.waitpid(self.thread, self.WAIT_ALL)[1]
            if os.WIFSIGNALED(status) or os.WIFEXITED(status):
                return


class Agents:
    """Both agents on this host, by their shipped units."""

    def __init__(self):
        self.echo = Echo()
        self.journal = Journal()
        self.sockets = []
        os.makedirs(ETC, exist_ok=True)
        write_key(f"{ETC}/edge-1.psk")
        self.configure_client()
        self.configure_server()

    def configure_client(self, path=f"{ETC}/client.toml", **changes):
        write(path, toml(client_config(**changes)))

    def configure_server(self, path=f"{ETC}/server.toml", **changes):
        write(path, toml(server_config(self.echo.port, **changes)))

    def start(self):
        systemctl("start", SERVER, CLIENT)
        wait_status(CLIENT, "^link up to hub-1")

    def connect(self, port=SERVICE_PORT):
        sock = dial(port)
        self.sockets.append(sock)
        exchange(sock)
        return sock

    def tidy_up(self):
        """Everything stopped, and nothing of the test left."""
        for sock in self.sockets:
            sock.close()
        self.echo.close()
        systemctl("stop", "holdfast-*.socket", check=False)
        systemctl("stop", "holdfast-*.service", check=False)
        for name in os.listdir(UNITS):
            path = f"{UNITS}/{name}"
            if name.endswith((".service.d", ".wants")):
                shutil.rmtree(path)
            elif name.endswith(".socket"):
                os.unlink(path)
        shutil.rmtree(ETC)
        systemctl("daemon-reload")
        systemctl("reset-failed")

    def install_socket(self, name, listen):
        """An example's socket unit, on an address of this test, enabled as its comment says."""
        with open(f"{CONFIG}/systemd/examples/{name}.socket") as file:
            text = file.read()
        write(f"{UNITS}/{name}.socket", re.sub(r"(?m)^ListenStream=.*$", f"ListenStream={listen}", text))
        systemctl("enable", f"{name}.socket")
        systemctl("start", f"{name}.socket")


def kill(unit, number=signal.SIGKILL):
    pid = main_pid(unit)
    os.kill(pid, number)
    return pid


def wait_restarted(unit, old_pid, seconds=PATIENCE_S):
    def restarted():
        return show(unit, "ActiveState") == "active" and main_pid(unit) not in (0, old_pid)
    wait_until(restarted, f"{unit} back after the end of {old_pid}", seconds)
