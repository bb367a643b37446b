"""Certificates: what an agent says of its own files, and who is let in by them."""
import contextlib
import re
import socket
import ssl
import subprocess
import time

import pytest

from flood import Flood
from pair import NAME, TIMESCALE
from pki import HOST, certificate_options, tls, tls_context
from streams import ping, wait_until


# -- own files -----------------------------------------------------------------------------------

def garbage(made, key):
    (made / {"ca_file": "ca.pem", "cert_file": f"{NAME}.pem", "key_file": f"{NAME}.key"}[key]
     ).write_text("-----BEGIN CERTIFICATE-----\nnothing of the kind\n-----END CERTIFICATE-----\n")


def swap(made, certificates, *, days=30, take=("pem",)):
    """Puts files of another run of make-certs, with the same CA, in the place of the client's."""
    for ending in ("pem", "key"):
        (made / f"{NAME}.{ending}").rename(made / f"old.{ending}")
    certificates(made.name, HOST, NAME, days=days)
    for ending in ("pem", "key"):
        if ending not in take:
            (made / f"old.{ending}").rename(made / f"{NAME}.{ending}")


# How each is spoilt, the key that is named, what is said of it.
BAD_FILES = {
    "garbage-ca": (lambda made, _: garbage(made, "ca_file"), "ca_file", "is broken at certificate 1"),
    "garbage-certificate": (lambda made, _: garbage(made, "cert_file"), "cert_file", "is broken at"),
    "garbage-key": (lambda made, _: garbage(made, "key_file"), "key_file", "holds no private key"),
    "ca-without-a-certificate": (lambda made, _: (made / "ca.pem").write_text("# soon\n"), "ca_file",
                                 "holds no certificate"),
    "a-key-of-another-certificate": (swap, "key_file", f"is not the key of .*/{NAME}.pem"),
    "expired": (lambda made, certificates: swap(made, certificates, days=0, take=("pem", "key")),
                "cert_file", "expired on"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_is_one_problem_with_its_line_at_check_and_at_start(make_pair, certificates, kind):
    made = certificates("pki", HOST, NAME)
    pair = make_pair(**certificate_options(tls(made, NAME), tls(made, "server")))
    spoil, key, words = BAD_FILES[kind]
    spoil(made, certificates)
    with open(pair.client.config) as file:
        line = next(n for n, text in enumerate(file, 1) if text.startswith(key))
    problem = re.compile(f"{re.escape(pair.client.config)}:{line}: link\\.tls\\.{key}: .*{words}")
    for command in (["check"], []):
        result = pair.client.run(*command)
        said = result.stdout + result.stderr
        assert result.returncode == 78, said
        assert problem.search(said), said
        assert len([each for each in said.splitlines() if "warning" not in each]) == 1, said


def test_the_servers_files_are_looked_at_too(make_pair, certificates):
    made = certificates("pki", HOST, NAME)
    pair = make_pair(**certificate_options(tls(made, NAME), tls(made, "server")))
    (made / "server.pem").write_bytes((made / f"{NAME}.pem").read_bytes())
    result = pair.server.run("check")
    assert result.returncode == 78
    assert "link.tls.key_file: " in result.stdout and "is not the key of" in result.stdout


def test_a_certificate_that_ends_soon_is_warned_of_and_works(make_pair, certificates):
    made = certificates("pki", HOST, NAME, days=10)
    pair = make_pair(**certificate_options(tls(made, NAME), tls(made, "server")))
    ping(*pair.connect())
    for agent in (pair.client, pair.server):
        result = agent.run("check")
        assert result.returncode == 0
        assert re.search(r"link\.tls\.cert_file: warning: \S+ expires on ", result.stdout)
        assert "expires on" in agent.log()


def test_a_permission_problem_stays_77_beside_good_files(make_pair, certificates):
    made = certificates("pki", HOST, NAME)
    pair = make_pair(**certificate_options(tls(made, NAME), tls(made, "server")))
    (made / f"{NAME}.key").chmod(0o644)
    assert pair.client.run("check").returncode == 77
    (made / f"{NAME}.key").chmod(0o600)


# -- who gets in -----------------------------------------------------------------------------------

def test_a_client_whose_certificate_has_expired_is_refused_and_the_log_says_when(make_pair,
                                                                                certificates):
    made = certificates("pki", HOST, NAME)
    pair = make_pair(**certificate_options(tls(made, NAME), tls(made, "server")))
    certificates("pki", HOST, "edge-2", days=0)
    context = tls_context(made, "edge-2")

    def refused():
        with socket.create_connection((HOST, pair.link_port)) as sock:
            with pytest.raises(ssl.SSLError, match="certificate expired"):
                context.wrap_socket(sock).recv(1)
        return "the certificate of edge-2 expired on" in pair.server.log()
    wait_until(refused, 5 * TIMESCALE, "the cause in the server's log")


def sign_for(made, who, seconds):
    """A new certificate of `who`, by the same CA, that ends so soon."""
    config = made / "ca.cnf"
    config.write_text("[ca]\ndefault_ca = d\n[d]\nnew_certs_dir = %s\ndatabase = %s/index\n"
                      "rand_serial = yes\ndefault_md = sha256\npolicy = p\nunique_subject = no\n"
                      "[p]\ncommonName = supplied\n[e]\nsubjectAltName = DNS:%s\n"
                      "extendedKeyUsage = clientAuth\nbasicConstraints = CA:FALSE\n"
                      % (made, made, who))
    (made / "index").write_text("")
    request = subprocess.run(["openssl", "req", "-new", "-key", made / f"{who}.key", "-subj",
                              f"/CN={who}"], check=True, capture_output=True).stdout
    end = time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + seconds))
    subprocess.run(["openssl", "ca", "-batch", "-config", config, "-keyfile", made / "ca.key", "-cert",
                    made / "ca.pem", "-in", "/dev/stdin", "-out", made / f"{who}.pem", "-notext",
                    "-extensions", "e", "-startdate", "20200101000000Z", "-enddate", end],
                   check=True, capture_output=True, input=request)


def test_a_link_outlives_the_end_of_its_certificate_and_needs_a_new_one_to_come_back(make_pair,
                                                                                    certificates):
    made = certificates("pki", HOST, NAME)
    lasts = 6 * TIMESCALE
    sign_for(made, NAME, lasts)
    ends = time.time() + lasts
    pair = make_pair(**certificate_options(tls(made, NAME), tls(made, "server")))
    app, back = pair.connect()
    told = dict((labels["key"], value) for labels, value in
                pair.client.metrics()["holdfast_certificate_expiry_seconds"])
    assert abs(told["link.tls.cert_file"] - ends) < 5
    assert told["link.tls.ca_file"] > ends + 86400 * 365
    assert len(pair.server.metrics()["holdfast_certificate_expiry_seconds"]) == 2
    time.sleep(max(0, ends - time.time()) + 1.5)
    ping(app, back)
    pair.relay.cut()
    wait_until(lambda: f"the certificate of {NAME} expired on" in pair.server.log(), 10 * TIMESCALE,
               "the cause in the server's log")
    assert pair.client.run("ready").returncode == 75
    sign_for(made, NAME, 86400 * 30)
    assert pair.client.run("reload").returncode == 0
    pair.wait_ready()
    ping(app, back)


# -- floods ----------------------------------------------------------------------------------------

def first_message(made, who):
    """A good client's, as far as one can be without its key: up to where the certificate is due."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = tls_context(made, who).wrap_bio(incoming, outgoing)
    with contextlib.suppress(ssl.SSLWantReadError):
        session.do_handshake()
    return outgoing.read()


RESUMED_S = 10                     # far from the half second that keys take: see docs/SECURITY.md


@pytest.mark.slow
@pytest.mark.parametrize("round_trip_ms", [0, 100])
def test_a_flood_of_good_tls_from_the_same_address_does_not_keep_a_client_out_for_good(
        make_pair, certificates, round_trip_ms):
    """Strangers that speak TLS up to the certificate, each of which costs the server a signature."""
    made = certificates("pki", HOST, NAME, "stranger")
    pair = make_pair(**certificate_options(tls(made, NAME), tls(made, "server")))
    app, back = pair.connect()
    ping(app, back)
    pair.relay.delay(round_trip_ms / 2)
    before = pair.server.resident_bytes()
    flood = Flood(pair.link_port, 2000, first_message(made, "stranger"))
    try:
        flood.wait()
        resumed = []
        for _ in range(10):
            reconnects = pair.reconnects()
            pair.relay.cut()
            resumed.append(ping(app, back))
            assert pair.reconnects() > reconnects
        print(f"resumed after {sorted(resumed)}")
        assert max(resumed) < RESUMED_S * TIMESCALE, resumed
        if TIMESCALE == 1:
            assert pair.server.resident_bytes() - before < 64 << 20
    finally:
        flood.stop()
    assert len(pair.server.log()) < 256 << 10


@pytest.mark.slow
def test_a_flood_of_good_tls_does_not_hide_a_new_client_for_long(make_pair, certificates):
    made = certificates("pki", HOST, NAME, "stranger")
    pair = make_pair(**certificate_options(tls(made, NAME), tls(made, "server")))
    pair.client.terminate()
    flood = Flood(pair.link_port, 2000, first_message(made, "stranger"))
    try:
        flood.wait()
        pair.client.start()
        pair.wait_ready(10)
        ping(*pair.connect())
    finally:
        flood.stop()
