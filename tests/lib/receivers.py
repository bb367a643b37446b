"""Real nginx and haproxy as services that are told, by a PROXY header or by a socket's address, who is
connected. Both answer every HTTP request with what they saw, and log it.

Each runs in the foreground in a folder of its own, gone with us, and is ended by pid.
"""
import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess

from streams import wait_until

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"

NGINX = """
daemon off;
master_process off;
error_log {folder}/error.log info;
pid {folder}/nginx.pid;
events {{ worker_connections 256; }}
http {{
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  log_format seen 'socket=$remote_addr:$remote_port told=$proxy_protocol_addr:$proxy_protocol_port '
                  'server=$proxy_protocol_server_addr:$proxy_protocol_server_port';
  access_log {folder}/access.log seen;
  server {{
{listen}
    keepalive_timeout 600;
    location / {{
      return 200 "socket=$remote_addr:$remote_port told=$proxy_protocol_addr:$proxy_protocol_port server=$proxy_protocol_server_addr:$proxy_protocol_server_port\\n";
    }}
  }}
}}
"""

HAPROXY = """
global
  log stderr format raw local0 info
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
frontend seen
{binds}
  http-request return status 200 content-type text/plain lf-string "told=%[src]:%[src_port] server=%[dst]:%[dst_port] id=%[fc_pp_unique_id]\\n"
"""


def installed(program):
    return shutil.which(program, path=PATH)


class Receiver:
    """`addresses`: (host, port) pairs; `options`: of nginx's listen or haproxy's bind; `config`: a whole
    one, in place of what they make."""

    def __init__(self, kind, folder, addresses, options="", space=None, config=None):
        self.folder, self.addresses = str(folder), addresses
        os.makedirs(self.folder, exist_ok=True)
        texts = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in addresses]
        path = os.path.join(self.folder, "config")
        if kind == "nginx":
            lines = "\n".join(f"    listen {text} {options};" for text in texts)
            config = config or NGINX.format(folder=self.folder, listen=lines)
            words = [installed("nginx"), "-p", self.folder, "-c", path, "-e",
                     os.path.join(self.folder, "error.log")]
        else:
            lines = "\n".join(f"  bind {text} {options}" for text in texts)
            config = config or HAPROXY.format(binds=lines)
            words = [installed("haproxy"), "-db", "-f", path]
        with open(path, "w") as file:
            file.write(config)
        with open(os.path.join(self.folder, "output"), "ab") as output:
            self.process = subprocess.Popen((space.prefix if space else []) + words, stdout=output,
                                            stderr=output, stdin=subprocess.DEVNULL,
                                            preexec_fn=lambda: _libc.prctl(PR_SET_PDEATHSIG,
                                                                           signal.SIGKILL))
        with space.enter() if space else contextlib.nullcontext():
            for host, port in addresses:
                wait_until(lambda: self._answers(host, port), 10, f"{kind} at {host}:{port}")

    def _answers(self, host, port):
        assert self.process.poll() is None, self.output()
        try:
            socket.create_connection((host, port), 1).close()
            return True
        except OSError:
            return False

    def output(self):
        with open(os.path.join(self.folder, "output"), errors="replace") as file:
            return file.read()

    def access_log(self):
        with open(os.path.join(self.folder, "access.log"), errors="replace") as file:
            return file.read().splitlines()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def ask(sock):
    """One request on a connection that stays; what the receiver saw: {"told": ..., ...}."""
    sock.settimeout(10)
    sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = sock.recv(4096)
        assert chunk, f"ended after {data!r}"
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    assert b" 200 " in head.partition(b"\r\n")[0], head
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n")
                  if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += sock.recv(4096)
    return dict(word.partition("=")[::2] for word in body.decode().split())
