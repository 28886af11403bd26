"""Certificates of a test's own, and what a client finds at the other end of a TLS connection."""

import datetime
import ipaddress
import pathlib
import socket
import ssl
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from service import PATIENCE


class Certificate:
    """A certificate for this machine that is its own root, with its key."""

    def __init__(self, name, days=30):
        self.key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        self.certificate = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=60)).not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
            .sign(self.key, hashes.SHA256()))

    @property
    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self):
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    @property
    def serial(self):
        return self.certificate.serial_number

    def write(self, folder):
        """Puts both into a folder, one after the other, and gives the settings that name them."""
        folder = pathlib.Path(folder)
        (folder / "tls.pem").write_bytes(self.pem)
        (folder / "tls.key").write_bytes(self.key_pem)
        return {"tls-certificate": "tls.pem", "tls-key": "tls.key"}


def address(server):
    host, port = server.url.split("//")[1].split(":")
    return host, int(port)


def context(certificate=None, protocols=("http/1.1",)):
    """What trusts one certificate, or takes any."""
    made = ssl.create_default_context()
    if certificate:
        made.load_verify_locations(cadata=certificate.pem.decode())
    else:
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    made.set_alpn_protocols(list(protocols))
    return made


def connect(server, **options):
    """A connection with a finished handshake."""
    return context(**options).wrap_socket(
        socket.create_connection(address(server), timeout=PATIENCE), server_hostname="127.0.0.1")


def shown_serial(server):
    """The number of the certificate that the server shows now."""
    with connect(server) as connection:
        return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True)).serial_number


def openssl_takes(server, *options):
    """Whether openssl's client agrees with the server, which may be offered what this Python can't."""
    host, port = address(server)
    completed = subprocess.run(
        ["openssl", "s_client", "-connect", f"{host}:{port}", *options], input=b"", capture_output=True,
        timeout=PATIENCE)
    return completed.returncode == 0
