"""`holdfast-client connect SERVICE`: standard input and output joined to a service."""
import os
import re
import signal
import socket
import subprocess
import threading

import pytest

from pair import BIN, free_port
from streams import FIN, RST, read_end, read_exactly, reset

OK, FAILED, USAGE, UNREACHABLE, PERMISSION, CONFIG = 0, 1, 64, 69, 77, 78


@pytest.fixture
def join(tmp_path):
    """join(pair, service="raw"): the command, running, with pipes; killed at the end of the test."""
    started = []

    def begin(pair, service="raw", where=None, **options):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        where = where or ["-c", pair.client.config]
        started.append(subprocess.Popen([pair.client.program, "connect", service, *where], **pipes, bufsize=0))
        return started[-1]
    yield begin
    for process in started:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                pipe.close()


def ended(process, seconds=10):
    code = process.wait(seconds)
    return code, process.stderr.read().decode()


@pytest.mark.sanitized
def test_bytes_go_both_ways_and_each_end_stays_its_own(make_pair, join):
    pair = make_pair()
    process = join(pair)
    back = pair.backends["raw"].accept()
    process.stdin.write(b"question")
    assert read_exactly(back, 8) == b"question"
    process.stdin.close()                       # half-closed: the answer still comes
    assert read_end(back) == (FIN, b"")
    back.sendall(b"answer")
    back.close()
    assert process.stdout.read() == b"answer"
    assert ended(process) == (OK, "")


def test_the_services_end_closes_standard_output_and_input_goes_on(make_pair, join):
    pair = make_pair()
    process = join(pair)
    back = pair.backends["raw"].accept()
    back.sendall(b"all I have")
    back.shutdown(socket.SHUT_WR)
    assert process.stdout.read() == b"all I have"   # to its end
    assert process.poll() is None
    process.stdin.write(b"x" * 300_000)
    process.stdin.close()
    assert read_end(back) == (FIN, b"x" * 300_000)
    assert ended(process) == (OK, "")


def test_much_both_ways_at_once_through_a_cut(make_pair, join):
    pair = make_pair()
    process = join(pair)
    back = pair.backends["raw"].accept()
    up, down, got = os.urandom(8_000_000), os.urandom(8_000_000), {}

    def write_up():
        process.stdin.write(up)
        process.stdin.close()

    def write_down():
        back.sendall(down)
        back.shutdown(socket.SHUT_WR)

    def read_up():
        got["up"] = read_end(back, 60)
    threads = [threading.Thread(target=each) for each in (write_up, write_down, read_up)]
    for each in threads:
        each.start()
    pair.relay.cut()
    got["down"] = process.stdout.read()
    for each in threads:
        each.join(60)
    assert got == {"up": (FIN, up), "down": down}
    assert ended(process) == (OK, "")


def test_a_reset_of_the_service_is_told_by_the_exit_code(make_pair, join):
    pair = make_pair()
    process = join(pair)
    back = pair.backends["raw"].accept()
    back.sendall(b"some")
    assert process.stdout.read(4) == b"some"
    reset(back)
    code, said = ended(process)
    assert code == FAILED and "reset" in said


def test_a_reader_that_goes_away_and_a_kill_are_a_reset_at_the_service(make_pair, join):
    pair = make_pair()
    process = join(pair)
    back = pair.backends["raw"].accept()
    process.stdout.close()
    back.sendall(b"for nobody")
    code, said = ended(process)
    assert code == FAILED and "standard output" in said
    assert read_end(back)[0] == RST
    process = join(pair)
    back = pair.backends["raw"].accept()
    process.stdin.write(b"half a sen")
    assert read_exactly(back, 10) == b"half a sen"
    process.send_signal(signal.SIGTERM)
    assert read_end(back)[0] == RST


def test_the_running_agent_tells_the_address(make_pair, join):
    pair = make_pair()
    process = join(pair, where=["--socket", pair.client.settings["admin"]["socket"]])
    back = pair.backends["raw"].accept()
    process.stdin.close()
    assert read_end(back) == (FIN, b"")
    back.close()
    assert ended(process) == (OK, "")


def test_unix_sockets_and_wildcards_are_joined(make_pair, join, tmp_path):
    port = free_port()
    pair = make_pair(services={"path": {"listen": f"unix:{tmp_path}/app.sock"},
                               "all": {"listen": f"0.0.0.0:{port}"}})
    for service in ("path", "all"):
        process = join(pair, service)
        back = pair.backends[service].accept()
        process.stdin.write(b"hello")
        process.stdin.close()
        assert read_end(back) == (FIN, b"hello")
        back.sendall(b"bye")
        back.close()
        assert process.stdout.read() == b"bye"
        assert ended(process) == (OK, "")


def test_what_cannot_be_joined_says_why(make_pair, join, tmp_path):
    pair = make_pair(client={"services": {"proxied": {
        "listen": f"127.0.0.1:{free_port()}", "accept_proxy": True, "accept_proxy_from": ["127.0.0.1"]}}})
    for where in (None, ["--socket", pair.client.settings["admin"]["socket"]]):
        code, said = ended(join(pair, "rwa", where))
        assert code == USAGE and "no service rwa" in said and "proxied, raw" in said
        code, said = ended(join(pair, "proxied", where))
        assert code == USAGE and "cannot be joined" in said
    pair.client.terminate()
    code, said = ended(join(pair))
    assert code == UNREACHABLE and re.search(r"at 127.0.0.1:\d+: Connection refused", said)
    code, said = ended(join(pair, where=["--socket", pair.client.settings["admin"]["socket"]]))
    assert code == UNREACHABLE and "no agent is running" in said
    code, said = ended(join(pair, where=["-c", str(tmp_path / "none.toml")]))
    assert code == CONFIG
    pair.client.start()
    pair.wait_ready()


def test_a_server_has_no_connect():
    run = subprocess.run([os.path.join(BIN, "holdfast-server"), "connect", "x"], capture_output=True, text=True)
    assert run.returncode == USAGE
