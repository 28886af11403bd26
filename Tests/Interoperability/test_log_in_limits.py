"""How many failed log-ins a network has, for an account and for all of them, and who counts as a client."""

import http.client
import json
import statistics
import time

import pytest
import tokens
from service import BAD_CONFIGURATION, PASSWORD, Installation, answered, assert_error, at_once, eventually

#: How many failures are let through; the next has to wait.
RATE = 4
#: An address for each test that counts, since the servers are shared.
ADDRESSES = (f"198.51.{third}.{fourth}" for third in range(256) for fourth in range(1, 255))


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    """It believes what this machine and a network behind it say about a client's address."""
    installation = Installation(
        tmp_path_factory.mktemp("service"), algorithms="ES256", log_in_rate=f"{RATE}/h",
        trusted_proxies="127.0.0.1,10.0.0.0/8,2001:db8:ffff::/48")
    yield installation.serve()
    installation.close()


@pytest.fixture
def address():
    return next(ADDRESSES)


def attempt(server, name, password="wrong", via=None):
    """A log-in through a proxy that says whom it speaks for."""
    headers = {} if via is None else {"X-Forwarded-For": via}
    return server.post("/auth/log-in", {"username": name, "password": password}, headers=headers)


def fail(server, name, times=RATE, via=None):
    """Fails so often, and has to be answered in the usual way each time."""
    for _ in range(times):
        assert_error(attempt(server, name, via=via), 401, "invalid_grant")


def assert_limited(response, within=3600):
    assert_error(response, 429, "temporarily_unavailable")
    assert response.headers["Retry-After"].isdigit()
    assert 1 <= int(response.headers["Retry-After"]) <= within


# MARK: The limit


def test_one_failure_more_than_the_rate_is_429(shared_server, user, address):
    fail(shared_server, user, via=address)
    assert_limited(attempt(shared_server, user, via=address))


def test_the_right_password_is_429_too(shared_server, user, address):
    fail(shared_server, user, via=address)
    assert_limited(attempt(shared_server, user, PASSWORD, via=address))


def test_one_failure_less_locks_nobody_out(shared_server, user, address):
    fail(shared_server, user, RATE - 1, via=address)
    answered(attempt(shared_server, user, PASSWORD, via=address))


def test_a_stranger_locks_nobody_out(shared_server, user, address):
    fail(shared_server, user, via=address)
    assert_limited(attempt(shared_server, user, via=address))
    answered(attempt(shared_server, user, PASSWORD, via=next(ADDRESSES)))


def test_a_log_in_that_succeeds_doesn_t_count(shared_server, user, address):
    for _ in range(3 * RATE):
        answered(attempt(shared_server, user, PASSWORD, via=address))
    fail(shared_server, user, RATE - 1, via=address)
    answered(attempt(shared_server, user, PASSWORD, via=address))


def test_a_log_in_that_is_no_attempt_doesn_t_count(shared_server, user, address):
    for _ in range(3 * RATE):
        headers = {"X-Forwarded-For": address}
        assert_error(shared_server.post("/auth/log-in", {"username": user}, headers=headers), 400, "invalid_request")
    answered(attempt(shared_server, user, PASSWORD, via=address))


def test_an_unknown_name_is_limited_with_the_same_answer(shared_server, user, address):
    answers = []
    for name, via in [(user, address), ("nobody-of-this-name", next(ADDRESSES))]:
        fail(shared_server, name, via=via)
        response = attempt(shared_server, name, via=via)
        assert_limited(response)
        answers.append((response.content, sorted(response.headers)))
    assert answers[0] == answers[1]


def test_an_address_that_tries_many_names_is_limited(shared_server, user, address):
    for number in range(RATE):
        fail(shared_server, f"invented-{number}", 1, via=address)
    assert_limited(attempt(shared_server, user, PASSWORD, via=address))
    answered(attempt(shared_server, user, PASSWORD, via=next(ADDRESSES)))


@pytest.mark.parametrize("failure", ["an empty password", "a disabled user", "an over-long password", "a bad name"])
def test_each_kind_of_failure_counts(shared_server, user, address, failure):
    name, password = user, "wrong"
    match failure:
        case "an empty password":
            password = ""
        case "a disabled user":
            shared_server.installation.run("users", "disable", user)
            password = PASSWORD
        case "an over-long password":
            password = "x" * 2000
        case "a bad name":
            name = "two words\u0000"
    for _ in range(RATE):
        assert_error(attempt(shared_server, name, password, via=address), 401, "invalid_grant")
    assert_limited(attempt(shared_server, name, password, via=address))


def test_a_refused_log_in_sets_no_cookie(shared_server, user, address):
    fail(shared_server, user, via=address)
    body = {"username": user, "password": PASSWORD, "delivery": "cookie"}
    response = shared_server.post("/auth/log-in", body, headers={"X-Forwarded-For": address})
    assert_limited(response)
    assert "Set-Cookie" not in response.headers


def test_a_limited_network_still_refreshes_and_logs_out(shared_server, user, address):
    headers = {"X-Forwarded-For": address}
    pair = answered(attempt(shared_server, user, PASSWORD, via=address))
    fail(shared_server, user, via=address)
    assert_limited(attempt(shared_server, user, via=address))
    body = {"refresh_token": pair["refresh_token"]}
    pair = answered(shared_server.post("/auth/refresh", body, headers=headers))
    assert shared_server.post("/auth/log-out", token=pair["access_token"], headers=headers).status_code == 204


def test_whoever_waits_as_told_may_try_again(make_installation):
    installation = make_installation(algorithms="ES256", log_in_rate="2/s")
    server = installation.serve()
    installation.add_user("anna")
    for _ in range(50):
        response = attempt(server, "anna")
        if response.status_code == 429:
            break
    assert_limited(response, within=2)
    time.sleep(int(response.headers["Retry-After"]))
    answered(attempt(server, "anna", PASSWORD))


@pytest.mark.parametrize("rate", ["2/m", "2/h"])
def test_a_rate_is_for_a_minute_or_for_an_hour(make_installation, rate):
    installation = make_installation(algorithms="ES256", log_in_rate=rate)
    server = installation.serve()
    fail(server, "anna", 2)
    assert_limited(attempt(server, "anna"), within={"2/m": 60, "2/h": 3600}[rate])


def test_ten_failures_a_minute_are_the_default(make_installation):
    installation = make_installation(algorithms="ES256")
    del installation.settings["log-in-rate"]
    server = installation.serve()
    fail(server, "anna", 10)
    assert_limited(attempt(server, "anna"), within=60)


def test_many_attempts_at_once_are_no_way_round(make_installation):
    """Those that are let in before the first of them has failed are counted as well."""
    installation = make_installation(
        algorithms="ES256", log_in_rate=f"{RATE}/h", password_memory="19MiB", password_concurrency="2")
    server = installation.serve()
    installation.add_user("anna")
    statuses = [response.status_code for response in at_once(*[lambda: attempt(server, "anna")] * 30)]
    assert set(statuses) <= {401, 429, 503}
    assert statuses.count(401) <= RATE
    assert_limited(attempt(server, "anna", PASSWORD))


def test_a_limited_log_in_costs_no_hash(make_installation):
    """Nor does it wait for those that do."""
    installation = make_installation(
        algorithms="ES256", log_in_rate="3/h", password_memory="128MiB", password_iterations="3")
    server = installation.serve()
    installation.add_user("anna")
    times = {401: [], 429: []}
    for password in ["wrong"] * 7 + [PASSWORD] * 4:
        began = time.perf_counter()
        response = attempt(server, "anna", password)
        times[response.status_code].append(time.perf_counter() - began)
    assert len(times[401]) == 3
    assert statistics.median(times[429]) < statistics.median(times[401]) / 4


def test_a_wrong_current_password_counts_as_well(shared_server, user, address):
    """Who has got hold of a session may not guess the password there."""
    pair = shared_server.log_in(user)
    headers = {"X-Forwarded-For": address}

    def change(current):
        body = {"current": current, "new": "another one"}
        return shared_server.post("/auth/password", body, token=pair["access_token"], headers=headers)

    for _ in range(RATE):
        assert_error(change("wrong"), 401, "invalid_grant")
    assert_limited(change(PASSWORD))
    assert_limited(attempt(shared_server, user, PASSWORD, via=address))
    shared_server.refresh(pair["refresh_token"])


# MARK: Restarts


def test_the_count_of_an_account_survives_kill_9_and_that_of_an_address_does_not(make_installation):
    """The account is named in the spellings that are one name."""
    installation = make_installation(algorithms="ES256", log_in_rate="3/h")
    for name in ["anna", "bert"]:
        installation.add_user(name)
    server = installation.serve()
    for spelling in ["anna", "ANNA", "\uff41nna"]:
        fail(server, spelling, 1)
    assert_limited(attempt(server, "bert", PASSWORD))
    server.kill()
    server = installation.serve()
    assert_limited(attempt(server, "anna", PASSWORD))
    answered(attempt(server, "bert", PASSWORD))


def test_the_count_of_an_account_goes_on_after_a_restart(make_installation):
    installation = make_installation(algorithms="ES256", log_in_rate="3/h")
    installation.add_user("anna")
    server = installation.serve()
    fail(server, "anna", 2)
    server.kill()
    server = installation.serve()
    fail(server, "anna", 1)
    assert_limited(attempt(server, "anna", PASSWORD))


def test_invented_names_fill_no_table(make_installation):
    """What was counted is forgotten once it is forgiven."""
    installation = make_installation(algorithms="ES256", log_in_rate="5/s", trusted_proxies="127.0.0.1")
    server = installation.serve()

    def rows():
        tables = [name for (name,) in installation.query("SELECT name FROM sqlite_master WHERE type = 'table'")]
        counted = [name for name in tables if not name.startswith("audit")]
        return sum(installation.query(f'SELECT count(*) FROM "{name}"')[0][0] for name in counted)

    before = rows()
    for number in range(40):
        fail(server, f"invented-{number}", 1, via=next(ADDRESSES))
    assert rows() > before
    server.stop()
    time.sleep(1)
    # A server sweeps when it starts, and now and then.
    installation.serve()
    eventually(lambda: rows() <= before)


# MARK: Networks and proxies


def from_address(server, source, name, password="wrong", via=None):
    """A log-in whose connection comes from another address of this machine."""
    host, port = server.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30, source_address=(source, 0))
    headers = {"Content-Type": "application/json"} | ({} if via is None else {"X-Forwarded-For": via})
    connection.request("POST", "/auth/log-in", json.dumps({"username": name, "password": password}), headers)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


def test_without_a_trusted_proxy_the_header_is_ignored(make_installation):
    installation = make_installation(algorithms="ES256", log_in_rate="3/h")
    server = installation.serve()
    installation.add_user("anna")
    for _ in range(3):
        fail(server, "anna", 1, via=next(ADDRESSES))
    assert_limited(attempt(server, "anna", PASSWORD, via=next(ADDRESSES)))
    assert_limited(attempt(server, "anna", PASSWORD))
    assert from_address(server, "127.0.0.2", "anna", PASSWORD) == 200


def test_what_a_stranger_says_about_its_address_is_ignored(shared_server, user):
    """Beside the trusted proxy, 127.0.0.1, on the same machine."""
    for _ in range(RATE):
        assert from_address(shared_server, "127.0.0.3", user, via=next(ADDRESSES)) == 401
    assert from_address(shared_server, "127.0.0.3", user, PASSWORD, via=next(ADDRESSES)) == 429
    assert from_address(shared_server, "127.0.0.4", user, PASSWORD) == 200


def address_of(server, name, **headers):
    """Which address a session has that was begun with these headers."""
    body = {"username": name, "password": PASSWORD}
    pair = answered(server.post("/auth/log-in", body, headers=headers))
    sessions = server.installation.json("sessions", "list", "--user", name)
    (address,) = [each["address"] for each in sessions if each["id"] == tokens.claims(pair["access_token"])["sid"]]
    return address


@pytest.mark.parametrize(
    "header, address",
    [
        (None, "127.0.0.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("203.0.113.9, 192.0.2.1", "192.0.2.1"),
        ("203.0.113.9,192.0.2.1", "192.0.2.1"),
        ("made up, 192.0.2.1", "192.0.2.1"),
        ("192.0.2.1, 10.1.2.3", "192.0.2.1"),
        ("203.0.113.9, 192.0.2.1, 10.1.2.3, 127.0.0.1", "192.0.2.1"),
        ("203.0.113.9, 11.0.0.1", "11.0.0.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("192.0.2.1, 2001:db8:ffff:1::2", "192.0.2.1"),
        ("192.0.2.1, 2001:db8:fffe::2", "2001:db8:fffe::2"),
        ("203.0.113.9 ,\t192.0.2.1", "192.0.2.1"),
    ])
def test_a_client_is_the_last_one_that_no_trusted_proxy_is(shared_server, user, header, address):
    headers = {} if header is None else {"X-Forwarded-For": header}
    assert address_of(shared_server, user, **headers) == address


@pytest.mark.parametrize("header", ["", ",", "unknown", "192.0.2.1, x", "1.2.3", "999.1.1.1", "' OR 1=1", "x" * 6000])
def test_a_header_that_says_nothing_is_no_way_round(shared_server, user, header):
    address = address_of(shared_server, user, **{"X-Forwarded-For": header})
    assert address is None or len(address) < 64
    assert address != "192.0.2.1", "the one whom an untrusted one spoke for"


def test_several_headers_are_one_list(shared_server, user):
    host, port = shared_server.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    body = json.dumps({"username": user, "password": PASSWORD}).encode()
    connection.putrequest("POST", "/auth/log-in")
    for name, value in [
        ("Content-Type", "application/json"), ("X-Forwarded-For", "203.0.113.9"),
        ("X-Forwarded-For", "192.0.2.1, 10.0.0.1"), ("X-Forwarded-For", "10.0.0.2"), ("Content-Length", len(body)),
    ]:
        connection.putheader(name, value)
    connection.endheaders(body)
    assert connection.getresponse().status == 200
    connection.close()
    (session,) = shared_server.installation.json("sessions", "list", "--user", user)
    assert session["address"] == "192.0.2.1"


def test_what_a_client_adds_before_the_proxy_s_word_is_no_way_round(shared_server, user, address):
    for _ in range(RATE):
        fail(shared_server, user, 1, via=f"{next(ADDRESSES)}, {address}")
    assert_limited(attempt(shared_server, user, PASSWORD, via=f"{next(ADDRESSES)}, {address}"))


def test_a_network_of_ipv6_is_its_first_64_bits(shared_server, user):
    for number in range(RATE):
        fail(shared_server, user, 1, via=f"2001:db8:1:1:{number:x}::{number:x}")
    assert_limited(attempt(shared_server, user, PASSWORD, via="2001:db8:1:1:ffff:ffff:ffff:ffff"))
    answered(attempt(shared_server, user, PASSWORD, via="2001:db8:1:2::1"))


def test_spellings_of_one_ipv6_address_are_one(shared_server, user):
    for via in ["2001:db8:2::1", "2001:DB8:2::1", "2001:0db8:0002:0000:0000:0000:0000:0001", "2001:db8:2:0:0:0:0:1"]:
        fail(shared_server, user, 1, via=via)
    assert_limited(attempt(shared_server, user, PASSWORD, via="2001:db8:2::1"))


# MARK: Settings


@pytest.mark.parametrize(
    "name, value",
    [
        ("log-in-rate", each) for each in ["", "10", "10/d", "ten/m", "0/m", "-1/m", "1.5/m", "10/", "/m", "10 / m"]
    ] + [
        ("trusted-proxies", each)
        for each in ["proxy.example", "127.0.0", "127.0.0.1/33", "::1/129", "10.0.0.0/-1", ","]
    ])
def test_a_bad_limit_stops_the_start(installation, name, value):
    settings = {"listen": "127.0.0.1:0", name: value}
    assert name in installation.refused(BAD_CONFIGURATION, "serve", settings=settings)
