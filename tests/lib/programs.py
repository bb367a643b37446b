"""Programs of one run, in the foreground: started by us, ended by pid, and gone if we are.

Nothing here touches a service of the system: each program gets a config, a folder and free ports of
its own.
"""
import ctypes
import os
import shutil
import signal
import subprocess
import time

PR_SET_PDEATHSIG = 1
END_S = 3.0
_libc = ctypes.CDLL(None)


class ProgramFailed(Exception):
    """One of the programs around Holdfast did not do its part."""


def find_program(name):
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not path:
        raise ProgramFailed(f"{name} is not installed")
    return path


def die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def die_on_signals():
    """SIGTERM and SIGHUP end us in order, through every `finally`."""
    def leave(number, _frame):
        raise SystemExit(128 + number)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


class Programs:
    """A program dies with the thread that started it: start it from one that lives long enough.
    `host`: the address on which services listen; `space`: the netns.Namespace in which programs run."""

    def __init__(self, folder, host="127.0.0.1", space=None):
        self.folder, self.host, self._space = str(folder), host, space
        self._running = []

    def start(self, words, log=None, space=None, **options):
        """`log`: a file in the folder that takes stdout and stderr; `space`: a netns.Namespace."""
        words = [find_program(words[0]), *map(str, words[1:])]
        space = space or self._space
        if space:
            words = [find_program(space.prefix[0]), *space.prefix[1:], *words]
        options.setdefault("stdin", subprocess.DEVNULL)
        if log:
            with open(os.path.join(self.folder, log), "ab") as file:
                process = subprocess.Popen(words, stdout=file, stderr=file,
                                           preexec_fn=die_with_parent, **options)
        else:
            process = subprocess.Popen(words, preexec_fn=die_with_parent, **options)
        self._running.append(process)
        return process

    def start_listening(self, words, port, log, space=None, seconds=10):
        process = self.start(words, log, space)
        deadline = time.monotonic() + seconds
        while process.poll() is not None or not listens(process.pid, port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise ProgramFailed(f"{process.args[0]} does not listen on port {port}:\n"
                                    + self.tail(log))
            time.sleep(0.02)
        return process

    def tail(self, log, lines=15):
        path = os.path.join(self.folder, log)
        if not os.path.exists(path):
            return ""
        with open(path, errors="replace") as file:
            return "".join(file.readlines()[-lines:])

    def stop(self, process):
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process in self._running:
            self._running.remove(process)

    def stop_all(self):
        """All are told at once; who does not listen within END_S is killed."""
        for process in self._running:
            if process.poll() is None:
                process.terminate()
        for process in reversed(list(self._running)):
            self.stop(process)


def listens(pid, port):
    """Whether somebody listens on the TCP port where the process is. No connect is spent on the
    question: some servers would take it for their first client."""
    for table in ("tcp", "tcp6"):
        try:
            with open(f"/proc/{pid}/net/{table}") as file:
                lines = file.readlines()[1:]
        except OSError:
            continue
        for _, local, _, state, *_ in map(str.split, lines):
            if state == "0A" and local.endswith(f":{port:04X}"):
                return True
    return False


def start_nginx(programs, port, root, directives="", listen="", server=""):
    """A web server that serves the folder `root` on the programs' host and the port; `listen`: what
    else the listen directive says; `server`: more directives of the server's."""
    base = os.path.join(programs.folder, f"nginx-{port}")
    os.makedirs(base, exist_ok=True)
    # Without a user line, a root-started nginx drops to an account that cannot read our folder.
    user = "user root;" if os.geteuid() == 0 else ""
    temporary = "".join(f"  {kind}_temp_path {base}/{kind};\n" for kind in
                        ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    config = os.path.join(base, "nginx.conf")
    with open(config, "w") as file:
        file.write(f"""{user}
daemon off;
worker_processes 1;
pid {base}/pid;
error_log stderr;
events {{ worker_connections 4096; }}
http {{
{temporary}  access_log {base}/access.log;
  sendfile on;
  tcp_nopush on;
  {directives}
  server {{ listen {programs.host}:{port} {listen}; root {root}; {server} }}
}}
""")
    words = ["nginx", "-e", "stderr", "-p", base, "-c", config]
    return programs.start_listening(words, port, f"nginx-{port}.log")


def start_redis(programs, port):
    """A Redis without persistence on 127.0.0.1:port."""
    words = ["redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly",
             "no", "--daemonize", "no", "--dir", programs.folder]
    return programs.start_listening(words, port, f"redis-{port}.log")


def children(pid):
    """Processes below it, all generations."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        below = list(map(int, file.read().split()))
    return below + [each for child in below for each in children(child)]


def cpu_seconds(pid):
    """User and system time that the process has used so far."""
    with open(f"/proc/{pid}/stat") as file:
        words = file.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def memory_bytes(pid):
    """What the process alone is charged for: its private pages (and its share of shared ones)."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
