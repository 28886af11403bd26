"""HTTPS: what is spoken, which certificate is shown, and how it changes."""

import collections
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import time

import pytest
from background import Background
from certificates import Certificate, address, connect, context, openssl_takes, shown_serial
from service import BAD_CONFIGURATION, PASSWORD, PATIENCE, Installation, eventually


@pytest.fixture(scope="module")
def certificate():
    return Certificate("first")


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory, certificate):
    installation = Installation(tmp_path_factory.mktemp("tls"))
    installation.settings |= certificate.write(installation.folder)
    yield installation.serve()
    installation.close()


@pytest.fixture
def changing(make_installation):
    """A server whose certificate a test may change."""
    installation = make_installation()
    installation.settings |= Certificate("before").write(installation.folder)
    return installation.serve()


def curl(server, path, *arguments):
    completed = subprocess.run(
        ["curl", "--silent", "--show-error", "--max-time", "20", "--cacert", "tls.pem", *arguments, server.url + path],
        cwd=server.installation.folder, capture_output=True, timeout=PATIENCE)
    assert completed.returncode == 0, completed.stderr.decode()
    return completed.stdout


def client(server):
    return http.client.HTTPSConnection(*address(server), timeout=PATIENCE, context=context())


def status(connection):
    """The status of a request that has no effect."""
    connection.request("GET", "/health/live")
    response = connection.getresponse()
    response.read()
    return response.status


# MARK: What is spoken


@pytest.mark.parametrize("flag, version", [("--http2", b"2"), ("--http1.1", b"1.1")])
def test_curl_logs_in_by_either_version_of_http(tls_server, flag, version):
    name = f"curl-{version.decode().replace('.', '-')}"
    tls_server.installation.add_user(name)
    answer = curl(
        tls_server, "/auth/log-in", flag, "-w", "\n%{http_version}", "-H", "Content-Type: application/json",
        "-d", json.dumps({"username": name, "password": PASSWORD}))
    body, spoken = answer.rsplit(b"\n", 1)
    assert spoken == version
    assert json.loads(body)["token_type"] == "Bearer"


def test_the_issuer_is_an_https_url(tls_server):
    metadata = json.loads(curl(tls_server, "/.well-known/oauth-authorization-server"))
    assert metadata["issuer"] == tls_server.url
    assert tls_server.url.startswith("https://127.0.0.1:")


@pytest.mark.parametrize("options, taken", [
    (["-tls1_3"], True), (["-tls1_2"], True),
    (["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], False), (["-tls1", "-cipher", "DEFAULT@SECLEVEL=0"], False),
    (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], True),
    (["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"], True),
    (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:AES128-SHA@SECLEVEL=0"], False),
    (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA384@SECLEVEL=0"], False),
    (["-tls1_2", "-cipher", "AES128-GCM-SHA256:AES256-GCM-SHA384@SECLEVEL=0"], False),
], ids=str)
def test_old_versions_and_weak_ciphers_are_refused(tls_server, options, taken):
    assert openssl_takes(tls_server, *options) is taken


def test_plain_http_gets_no_answer(tls_server):
    with socket.create_connection(address(tls_server), timeout=PATIENCE) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")
        received = connection.recv(65536)
    assert b"HTTP/1.1 200" not in received


def test_a_handshake_that_doesn_t_end_is_cut(tls_server):
    started = time.monotonic()
    with socket.create_connection(address(tls_server), timeout=PATIENCE) as connection:
        assert connection.recv(1) == b""
    assert 9 < time.monotonic() - started < 14


@pytest.mark.parametrize("protocols", [("h2",), ("http/1.1",)], ids=str)
def test_a_connection_without_a_request_is_cut(tls_server, protocols):
    started = time.monotonic()
    with connect(tls_server, protocols=protocols) as connection:
        assert connection.selected_alpn_protocol() == protocols[0]
        connection.settimeout(40)
        while connection.recv(65536):
            pass
    assert 14 < time.monotonic() - started < 20


# MARK: The certificate


def test_a_changed_certificate_is_shown_within_seconds_and_no_connection_is_lost(changing):
    later = Certificate("later")
    with contextlib.closing(client(changing)) as kept:
        assert status(kept) == 200
        kept_socket = kept.sock
        later.write(changing.installation.folder)
        eventually(lambda: shown_serial(changing) == later.serial, within=10)
        assert status(kept) == 200
        assert kept.sock is kept_socket
    assert changing.log.count("took the new certificate") == 1
    assert "error" not in changing.log


def test_a_certificate_behind_a_symbolic_link_is_followed(make_installation):
    """As Kubernetes mounts a Secret: one link takes another folder's place."""
    installation = make_installation()
    folders = [installation.folder / name for name in ["one", "two"]]
    made = [Certificate(folder.name) for folder in folders]
    for folder, certificate in zip(folders, made):
        folder.mkdir()
        certificate.write(folder)
    current = installation.folder / "current"
    current.symlink_to("one")
    server = installation.serve(settings={"tls-certificate": "current/tls.pem", "tls-key": "current/tls.key"})
    assert shown_serial(server) == made[0].serial
    (installation.folder / "next").symlink_to("two")
    os.replace(installation.folder / "next", current)
    eventually(lambda: shown_serial(server) == made[1].serial, within=10)


def test_sighup_reads_the_certificate_at_once(changing):
    later = Certificate("later")
    later.write(changing.installation.folder)
    changing.process.send_signal(signal.SIGHUP)
    eventually(lambda: "SIGHUP" in changing.log)
    eventually(lambda: shown_serial(changing) == later.serial, within=5)


def test_a_certificate_that_can_t_be_read_leaves_the_one_before(changing):
    before = shown_serial(changing)
    (changing.installation.folder / "tls.pem").write_text("nothing")
    eventually(lambda: "the certificate stays as it was: tls-certificate: tls.pem" in changing.log)
    time.sleep(2.5)
    assert shown_serial(changing) == before
    # Once, not at every look.
    assert changing.log.count("stays as it was") == 1
    later = Certificate("later")
    later.write(changing.installation.folder)
    eventually(lambda: shown_serial(changing) == later.serial, within=10)


def test_certificates_change_under_load_with_no_failed_request(changing):
    """New connections all the time, and kept ones, while the certificate changes again and again."""
    answers, problems = collections.Counter(), []

    def ask(keeps):
        def run():
            connection = None
            while not load.is_over.is_set():
                try:
                    connection = connection or client(changing)
                    answers[keeps, status(connection)] += 1
                    if not keeps:
                        connection.close()
                        connection = None
                except Exception as error:  # looked at below
                    problems.append(error)
                    return

        return run

    load = Background(ask(True), ask(False), ask(False))
    with load:
        for number in range(5):
            certificate = Certificate(f"number {number}")
            certificate.write(changing.installation.folder)
            eventually(lambda: shown_serial(changing) == certificate.serial, within=10)
    assert problems == []
    assert set(answers) == {(True, 200), (False, 200)}
    assert min(answers.values()) > 50


def test_an_expired_certificate_is_said_at_the_start_with_the_way_out(make_installation):
    installation = make_installation()
    installation.settings |= Certificate("old", days=-1).write(installation.folder)
    server = installation.serve()
    line = eventually(lambda: next((each for each in server.log.splitlines() if "expired at" in each), None))
    assert json.loads(line)["level"] == "error" and "renew it" in line


def test_a_certificate_that_ends_soon_is_warned_about(make_installation):
    installation = make_installation()
    installation.settings |= Certificate("ending", days=10).write(installation.folder)
    server = installation.serve()
    line = eventually(lambda: next((each for each in server.log.splitlines() if "expires at" in each), None))
    assert json.loads(line)["level"] == "warning"


def replaced(name, content):
    """A change of one of the files."""
    def change(folder):
        (folder / name).write_bytes(content)
    return change


@pytest.mark.parametrize("change, settings, named", [
    (None, {"tls-key": ""}, "tls-key"), (None, {"tls-certificate": ""}, "tls-certificate"),
    (None, {"tls-certificate": "missing.pem"}, "tls-certificate: can't read missing.pem"),
    (None, {"tls-key": "missing.key"}, "tls-key: can't read missing.key"),
    (replaced("tls.pem", b"x"), {}, "tls-certificate: tls.pem has no certificate"),
    (replaced("tls.pem", b""), {}, "tls-certificate: tls.pem has no certificate"),
    (replaced("tls.key", b"x"), {}, "tls-key: tls.key has no private key"),
    (replaced("tls.key", Certificate("another").key_pem), {}, "tls-key: tls.key isn't the key"),
], ids=range(8))
def test_files_that_don_t_do_stop_the_start_by_the_settings_name(make_installation, change, settings, named):
    installation = make_installation()
    installation.settings |= Certificate("first").write(installation.folder)
    if change:
        change(installation.folder)
    assert named in installation.refused(BAD_CONFIGURATION, "serve", "--listen", "127.0.0.1:0", settings=settings)
    assert not installation.keys.exists()


def test_one_of_the_two_files_isn_t_enough(installation):
    line = installation.refused(BAD_CONFIGURATION, "serve", "--listen", "127.0.0.1:0", "--tls-key", "tls.key")
    assert "tls-certificate: set it" in line
