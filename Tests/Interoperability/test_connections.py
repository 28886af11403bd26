"""What a stranger can hold by a connection, and what a stop does to those that are there."""

import concurrent.futures
import contextlib
import http.client
import json
import re
import signal
import socket
import time

import pytest
from certificates import Certificate, address, context
from http2 import HTTP2
from service import PASSWORD, PATIENCE, Installation, eventually


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory):
    installation = Installation(tmp_path_factory.mktemp("connections"))
    installation.settings |= Certificate("connections").write(installation.folder)
    yield installation.serve()
    installation.close()


def seconds_until_closed(server, sent, limit=60):
    """How long the server keeps a connection on which something was sent; `None` where it is longer than the limit."""
    began = time.monotonic()
    with socket.create_connection(address(server), timeout=limit) as connection:
        connection.sendall(sent)
        with contextlib.suppress(ConnectionError):
            while connection.recv(65536):
                pass
        return time.monotonic() - began


def seconds_until_given_up(server, sent, limit=60):
    """The same where nothing is read. The end of the connection would come behind all that is kept: the server tells."""
    began = time.monotonic()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(address(server))
        connection.sendall(sent)
        while time.monotonic() - began < limit:
            time.sleep(1)
            if open_connections(server) == 1:
                return time.monotonic() - began
    return None


def open_connections(server):
    """The one that asks is among them."""
    return int(re.search(r"^token_service_connections (\d+)$", server.get("/metrics").text, re.M)[1])


GET = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module", autouse=True)
def held(shared_server):
    """Connections that a stranger would like to hold; they are held while the tests of this module run."""
    cases = {
        "garbage": (seconds_until_closed, b"GARBAGE\r\n\r\n"),
        "garbage behind a request": (seconds_until_closed, GET + b"GARBAGE\r\n\r\n"),
        "a head that is too long": (seconds_until_closed, b"GET / HTTP/1.1\r\nX: " + b"a" * 40_000),
        "answers that aren't read": (seconds_until_given_up, GET * 200),
    }
    with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
        yield {case: pool.submit(hold, shared_server, sent) for case, (hold, sent) in cases.items()}


# MARK: HTTP/2


def test_a_body_needs_no_content_length_over_http_2(tls_server):
    tls_server.installation.add_user("no-length")
    with contextlib.closing(HTTP2(tls_server)) as client:
        body = json.dumps({"username": "no-length", "password": PASSWORD}).encode()
        stream = client.ask("POST", "/auth/log-in", body, [("content-type", "application/json")])
        assert client.read(lambda: stream in client.answers)
        assert client.answers[stream] == 200


def test_a_late_body_ends_its_stream_and_no_other(tls_server):
    with contextlib.closing(HTTP2(tls_server)) as client:
        late = client.ask("POST", "/auth/log-in", b"{", [("content-type", "application/json")], ends=False)
        assert client.read(lambda: late in client.answers or late in client.reset, within=20)
        assert client.answers.get(late) == 408
        other = client.ask("GET", "/health/live")
        assert client.read(lambda: other in client.answers)
        assert client.answers[other] == 200


@pytest.fixture
def slow(make_installation):
    """A server on which a log-in takes long enough to be stopped within."""
    installation = make_installation(password_memory="64MiB", password_iterations="4", password_concurrency="2")
    installation.settings |= Certificate("slow").write(installation.folder)
    server = installation.serve()
    installation.add_user("anna")
    return server


def test_a_stop_answers_what_was_asked_over_http_2(slow):
    with contextlib.closing(HTTP2(slow)) as client:
        body = json.dumps({"username": "anna", "password": PASSWORD}).encode()
        streams = [
            client.ask("POST", "/auth/log-in", body, [("content-type", "application/json")]) for _ in range(3)
        ]
        live = client.ask("GET", "/health/live")
        assert client.read(lambda: live in client.answers)
        slow.process.send_signal(signal.SIGTERM)
        assert client.read(lambda: set(streams) <= set(client.answers))
        assert {client.answers[stream] for stream in streams} == {200}
        assert client.said_goodbye
    assert slow.process.wait(PATIENCE) == 0


def test_a_client_that_never_says_good_bye_holds_no_stop_up(slow):
    """It doesn't read at all, so that no PING is answered; another has only begun its handshake."""
    with contextlib.closing(HTTP2(slow)) as client, socket.create_connection(address(slow)):
        stream = client.ask("GET", "/health/live")
        assert client.read(lambda: stream in client.answers)
        slow.process.send_signal(signal.SIGTERM)
        assert slow.process.wait(8) == 0


# MARK: Room


def status(client, method, path):
    client.request(method, path)
    response = client.getresponse()
    response.read()
    return response.status


def body_that_drips(server):
    connection = socket.create_connection(address(server), timeout=PATIENCE)
    connection.sendall(
        b"POST /auth/log-in HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{")
    return connection


def test_a_head_request_that_finds_no_room_has_no_body(make_installation):
    """Its bytes would stand before the next answer."""
    installation = make_installation(
        max_requests="1", password_memory="64MiB", password_iterations="64", password_concurrency="1")
    server = installation.serve()
    installation.add_user("anna")
    with concurrent.futures.ThreadPoolExecutor() as pool, \
            contextlib.closing(http.client.HTTPConnection(*address(server), timeout=PATIENCE)) as client:
        # It takes seconds.
        log_in = pool.submit(server.post, "/auth/log-in", {"username": "anna", "password": PASSWORD})
        # One that asks before it is in would take its place.
        time.sleep(1)
        eventually(lambda: status(client, "HEAD", "/openapi.json") == 503, every=1)
        assert status(client, "GET", "/openapi.json") == 503
        # However busy it is.
        assert [status(client, "GET", path) for path in ["/health/live", "/health/ready", "/metrics"]] == [200] * 3
        assert log_in.result().status_code == 200


def test_bodies_that_drip_make_room_for_those_who_ask(make_installation):
    server = make_installation(max_requests="4").serve()
    with contextlib.ExitStack() as stack:
        dripping = [stack.enter_context(body_that_drips(server)) for _ in range(2)]
        for connection in dripping:
            connection.settimeout(5)
        # While there is room for others, they have 15 s.
        with pytest.raises(TimeoutError):
            dripping[0].recv(1)
        began = time.monotonic()
        dripping += [stack.enter_context(body_that_drips(server)) for _ in range(2)]
        for connection in dripping:
            connection.settimeout(PATIENCE)
        answers = [connection.recv(4096) for connection in dripping[:2]]
        assert time.monotonic() - began < 7
        assert all(answer.startswith(b"HTTP/1.1 408 ") for answer in answers)


# MARK: Host


@pytest.mark.parametrize("head", [
    b"GET /health/live HTTP/1.1\r\n\r\n",
    b"GET /health/live HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    b"GET /health/live HTTP/1.1\r\nHost: a\r\nhOST: b\r\n\r\n",
    b"GET /health/live HTTP/1.1\r\nHost: a/b\r\n\r\n",
    b"GET /health/live HTTP/1.1\r\nHost: a b\r\n\r\n",
    b"GET /health/live HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n",
])
@pytest.mark.parametrize("is_encrypted", [False, True], ids=["in the clear", "over TLS"])
def test_a_request_that_does_not_name_one_host_is_refused(shared_server, tls_server, head, is_encrypted):
    """RFC 9112 section 3.2. What follows on the connection isn't read."""
    server = tls_server if is_encrypted else shared_server
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(socket.create_connection(address(server), timeout=PATIENCE))
        if is_encrypted:
            connection = stack.enter_context(context().wrap_socket(connection, server_hostname="localhost"))
        connection.sendall(head + b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")
        received = b""
        while data := connection.recv(4096):
            received += data
    assert received.startswith(b"HTTP/1.1 400 ") and received.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("head", [
    b"GET /health/live HTTP/1.1\r\nHost:\r\n\r\n",
    b"GET /health/live HTTP/1.1\r\nhost: [::1]:8080\r\n\r\n",
    b"GET /health/live HTTP/1.1\r\nHost: a_b.example. \t\r\n\r\n",
    b"GET /health/live HTTP/1.0\r\n\r\n",
])
def test_a_request_that_names_one_host_or_is_older_than_that_is_answered(shared_server, head):
    """Health checks of load balancers are often of HTTP/1.0."""
    with socket.create_connection(address(shared_server), timeout=PATIENCE) as connection:
        connection.sendall(head)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")


# MARK: Signals before the server runs


@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 0), (signal.SIGINT, 0)])
def test_a_signal_ends_a_start(make_installation, number, status):
    """It waits for a database that answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        installation = make_installation(
            database=f"postgres://a@127.0.0.1:{silent.getsockname()[1]}/a?sslmode=disable")
        process = installation.popen("serve", "--listen", "127.0.0.1:0")
        connection, _ = silent.accept()
        with connection:
            process.send_signal(signal.SIGHUP)
            time.sleep(0.3)
            assert process.poll() is None
            process.send_signal(number)
            assert process.wait(PATIENCE) == status


# MARK: What was held meanwhile


@pytest.mark.parametrize("case, limit", [
    ("garbage", 12), ("garbage behind a request", 12), ("a head that is too long", 12),
    ("answers that aren't read", 45),
])
def test_nobody_holds_a_connection(held, case, limit):
    seconds = held[case].result()
    assert seconds is not None and seconds < limit
