"""Certificates for scenarios: a private CA and what it signs, and configs that use them."""
import os
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
