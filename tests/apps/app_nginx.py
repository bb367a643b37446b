"""nginx and curl: kept-alive HTTP/1.1, downloads, by ranges too, and a chunked upload."""
import http.client
import os

from application import Application
from pair import free_port
from programs import start_nginx
from run import expect, expect_same, position, size_of

RANGES = 4
RATE = "2M"                       # so that a transfer lasts, whatever else is on the path


class App(Application):
    title = "nginx and curl"
    packages = ["nginx", "curl"]
    bulk = ("download", "download by ranges", "chunked upload")

    def start(self, programs):
        self._root = os.path.join(programs.folder, "root")
        os.makedirs(os.path.join(self._root, "up"))
        self._port = free_port()
        start_nginx(programs, self._port, self._root, directives="client_max_body_size 0;",
                    server="location /up/ { dav_methods PUT; }")
        return self._port

    def remove(self):
        """Everything lies in the cell's folder."""

    def workloads(self):
        return {"HTTP/1.1 kept alive": self.kept_alive, "download": self.download,
                "download by ranges": self.ranges, "chunked upload": self.upload}

    def kept_alive(self, run):
        """One connection for all requests, of which nginx counts the requests."""
        path = os.path.join(self._root, f"page-{run.way}")
        with open(path, "wb") as file:
            file.write(b"page")
        client = http.client.HTTPConnection(run.host, run.port)
        client.connect()
        name = client.sock.getsockname()

        def step(number):
            client.request("GET", f"/page-{run.way}?{number}")
            answer = client.getresponse()
            expect(answer.status == 200 and answer.read() == b"page", f"{answer.status}")
            expect(client.sock and client.sock.getsockname() == name, "another connection")
        run.steadily(step)

    def _curl(self, run, *words, **options):
        return run.start(["curl", "--silent", "--show-error", "--fail", "--noproxy", "*", "--limit-rate", RATE,
                          *words], "said",
                         **options)

    def _file(self, run, name):
        path = os.path.join(self._root, f"{run.way}-{name}")
        with open(path, "wb") as file:
            file.write(os.urandom(run.bulk_bytes))
        return path, f"http://{run.host}:{run.port}/{run.way}-{name}"

    def download(self, run):
        path, url = self._file(run, "whole")
        run.prepared()
        process = self._curl(run, "--output", run.path("copy"), url)
        run.transfer(process, lambda: size_of(run.path("copy")), lambda: run.programs.tail("said"))
        expect_same(path, run.path("copy"))

    def ranges(self, run):
        """A part after the other, all by one curl."""
        path, url = self._file(run, "parts")
        part = run.bulk_bytes // RANGES
        run.prepared()
        words = []
        for number in range(RANGES):
            words += ["--next"] if number else []
            words += ["--silent", "--show-error", "--fail", "--noproxy", "*", "--limit-rate", RATE,
                      "--range", f"{number * part}-{(number + 1) * part - 1}", "--output", run.path(f"part-{number}"),
                      url]
        process = run.start(["curl", *words], "said")
        parts = [run.path(f"part-{number}") for number in range(RANGES)]
        run.transfer(process, lambda: sum(map(size_of, parts)), lambda: run.programs.tail("said"))
        with open(run.path("copy"), "wb") as whole:
            for name in parts:
                with open(name, "rb") as file:
                    whole.write(file.read())
        expect_same(path, run.path("copy"))

    def upload(self, run):
        """PUT of what curl reads from a pipe: its length is not known before."""
        source = run.random_file()
        run.prepared()
        target = f"http://{run.host}:{run.port}/up/{run.way}"
        with open(source, "rb") as file:
            process = self._curl(run, "-T", "-", target, stdin=file)
        run.transfer(process, lambda: position(process), lambda: run.programs.tail("said"))
        expect_same(source, os.path.join(self._root, "up", run.way))

