"""Certificates for scenarios: a private CA and what it signs, and configs that use them."""
import os
import ssl
import subprocess

from pair import NAME, REPOSITORY

MAKE_CERTS = os.path.join(REPOSITORY, "scripts", "make-certs")
HOST = "127.0.0.1"


def make_certificates(folder, *names, days=30):
    """folder/ca.pem, and folder/server.* for the first name, folder/NAME.* for the others."""
    subprocess.run([MAKE_CERTS, folder, *names], check=True, capture_output=True,
                   env={**os.environ, "HOLDFAST_CERT_DAYS": str(days)})
    return folder


def tls(folder, who, ca=None):
    return {"ca_file": str((ca or folder) / "ca.pem"), "cert_file": str(folder / f"{who}.pem"),
            "key_file": str(folder / f"{who}.key")}


def certificate_options(client, server, server_name=HOST):
    """For make_pair: [link.tls] on both sides instead of keys."""
    return {"link": "psk",
            "client": {"link": {"psk_file": None, "tls": {**client, "server_name": server_name}}},
            "server": {"link": {"tls": server}, "clients": {NAME: {"psk_file": None}}}}


def tls_context(made, who):
    """Of a client made of bytes, with who's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.load_verify_locations(made / "ca.pem")
    context.load_cert_chain(made / f"{who}.pem", made / f"{who}.key")
    return context
