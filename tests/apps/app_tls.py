"""TLS end to end, from the application to the service: HTTP/2 by curl and nginx, and HTTPS kept alive."""
import http.client
import os
import socket
import ssl

from application import Application
from pair import free_port
from pki import make_certificates
from programs import start_nginx
from run import Lost, expect, expect_same, size_of

NAME = "server.example"
FILES = 4


class App(Application):
    title = "TLS end to end"
    packages = ["nginx", "curl", "openssl"]
    bulk = ("HTTP/2, four at once",)

    def start(self, programs):
        self._made = make_certificates(os.path.join(programs.folder, "made"), NAME)
        self._root = os.path.join(programs.folder, "root")
        os.makedirs(self._root)
        self._port = free_port()
        start_nginx(programs, self._port, self._root, listen="ssl http2",
                    server=f"ssl_certificate {self._made}/server.pem; "
                           f"ssl_certificate_key {self._made}/server.key;")
        return self._port

    def remove(self):
        """Everything lies in the cell's folder."""

    def workloads(self):
        return {"HTTP/2, four at once": self.http2, "HTTPS kept alive": self.kept_alive}

    def http2(self, run):
        """Four downloads on one connection, which curl counts."""
        words, pairs = [], []
        for number in range(FILES):
            name = f"{run.way}-{number}"
            source, copy = os.path.join(self._root, name), run.path(f"copy-{number}")
            with open(source, "wb") as file:
                file.write(os.urandom(run.bulk_bytes // FILES))
            words += ["--output", copy, f"https://{NAME}:{run.port}/{name}"]
            pairs.append((source, copy))
        run.prepared()
        process = run.start(["curl", "--silent", "--show-error", "--fail", "--http2", "--parallel",
                             "--cacert", f"{self._made}/ca.pem", "--resolve",
                             f"{NAME}:{run.port}:{run.host}", "--noproxy", "*", "--write-out",
                             "by HTTP/%{http_version}, %{num_connects} new\\n", *words], "said")
        run.transfer(process, lambda: sum(size_of(copy) for _, copy in pairs),
                     lambda: run.programs.tail("said"))
        for source, copy in pairs:
            expect_same(source, copy)
        said = run.programs.tail("said")
        expect(said.count("by HTTP/2") == FILES and said.count("1 new") == 1, said)

    def kept_alive(self, run):
        with open(os.path.join(self._root, f"page-{run.way}"), "wb") as file:
            file.write(b"page")
        context = ssl.create_default_context(cafile=f"{self._made}/ca.pem")
        client = http.client.HTTPSConnection(NAME, run.port, context=context)
        client.sock = context.wrap_socket(socket.create_connection(run.address), server_hostname=NAME)
        own = client.sock

        def step(number):
            client.request("GET", f"/page-{run.way}?{number}")
            answer = client.getresponse()
            expect(answer.status == 200 and answer.read() == b"page", f"{answer.status}")
            if client.sock is not own:
                raise Lost("another connection")
        run.steadily(step)
