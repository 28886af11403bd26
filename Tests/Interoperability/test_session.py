"""Sessions over HTTP: log-in, refresh, log-out, and how each of them is refused."""

import concurrent.futures
import contextlib
import http.client
import json
import socket
import sqlite3
import statistics
import time
import urllib.parse

import pytest
import tokens
from service import PASSWORD, USAGE, answered, assert_error, at_once, eventually

UNKNOWN_USER = {"username": "nobody-of-this-name", "password": PASSWORD}


def dawdle(server, start, drop):
    """Sends the start of a request and then a drop now and then.

    Gives after how many seconds the server ended it (None: not within 20), and what it said."""
    address = urllib.parse.urlsplit(server.url)
    received, began = b"", time.monotonic()
    with socket.create_connection((address.hostname, address.port), timeout=0.5) as connection:
        connection.sendall(start)
        while time.monotonic() - began < 20:
            try:
                connection.sendall(drop)
                data = connection.recv(4096)
            except TimeoutError:
                continue
            except OSError:
                data = b""
            if not data:
                return time.monotonic() - began, received
            received += data
    return None, received


@pytest.fixture(scope="module", autouse=True)
def dawdlers(shared_server):
    """Requests that don't arrive whole; they dawdle while the tests of this module run."""
    head = b"POST /auth/log-in HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    body = head + b"Content-Length: 100\r\n\r\n{"
    cases = {
        "a silent head": (head, b""), "a dripping head": (head + b"X-Slow: ", b"x"), "a silent body": (body, b""),
        "a dripping body": (body, b" "),
    }
    with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
        yield {case: pool.submit(dawdle, shared_server, *bytes) for case, bytes in cases.items()}


# MARK: The whole way


def test_a_user_logs_in_refreshes_through_a_rotation_and_logs_out(make_installation):
    installation = make_installation(publish_ahead="3s", jwks_max_age="1s", clock_leeway="1s")
    server = installation.serve()
    added = installation.add_user("anna", "--claim", 'plan="gold"', "--claim", "premium=true", "--scope", "read")

    response = server.post("/auth/log-in", {"username": "anna", "password": PASSWORD})
    pair = answered(response)
    assert response.headers["Cache-Control"] == "no-store"
    assert set(pair) == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
    assert (pair["token_type"], pair["expires_in"], pair["scope"]) == ("Bearer", 600, "read")

    me = answered(server.get("/auth/me", token=pair["access_token"]))
    assert me == tokens.claims(pair["access_token"])
    assert me | {"iss": server.url, "aud": server.url, "sub": added["id"], "client_id": "first-party"} == me
    assert (me["plan"], me["premium"], me["scope"]) == ("gold", True, "read")
    assert me["exp"] - me["iat"] == 600 and abs(me["iat"] - time.time()) < 30
    assert me["jti"] and me["sid"]

    second = server.refresh(pair["refresh_token"])
    assert tokens.kid(second["access_token"]) == tokens.kid(pair["access_token"])
    installation.run("keys", "rotate")

    def refreshed_with_another_key():
        nonlocal second
        second = server.refresh(second["refresh_token"])
        return tokens.kid(second["access_token"]) != tokens.kid(pair["access_token"])

    eventually(refreshed_with_another_key, every=0.5)
    for token in [pair["access_token"], second["access_token"]]:
        assert answered(server.get("/auth/me", token=token))["sid"] == me["sid"]
    jtis = {tokens.claims(each["access_token"])["jti"] for each in [pair, second]}
    assert len(jtis) == 2

    gone = server.post("/auth/log-out", token=second["access_token"])
    assert (gone.status_code, gone.content) == (204, b"")
    assert server.refuses(second["refresh_token"])


def test_a_form_is_as_good_as_json(shared_server, user):
    pair = answered(shared_server.post("/auth/log-in", data={"username": user, "password": PASSWORD}))
    again = answered(shared_server.post("/auth/refresh", data={"refresh_token": pair["refresh_token"]}))
    assert shared_server.post("/auth/log-out", data={"refresh_token": again["refresh_token"]}).status_code == 204
    assert shared_server.refuses(again["refresh_token"])


def test_a_refresh_has_the_claims_of_today(shared_server, new_user):
    name = new_user("--claim", 'plan="gold"')
    pair = shared_server.log_in(name)
    shared_server.installation.run("users", "set-claims", name, "--claim", "premium=true", "--remove", "plan")
    claims = tokens.claims(shared_server.refresh(pair["refresh_token"])["access_token"])
    assert claims["premium"] is True and "plan" not in claims


def test_a_session_keeps_the_scopes_it_asked_for(shared_server, new_user):
    name = new_user("--scope", "read", "--scope", "write")
    assert shared_server.log_in(name)["scope"] == "read write"
    pair = shared_server.log_in(name, scope="write")
    again = shared_server.refresh(pair["refresh_token"])
    assert pair["scope"] == again["scope"] == tokens.claims(again["access_token"])["scope"] == "write"
    body = {"username": name, "password": PASSWORD, "scope": "write admin"}
    assert_error(shared_server.post("/auth/log-in", body), 400, "invalid_scope")


def test_spellings_of_one_name_and_one_password_are_the_same(shared_server, new_user):
    """RFC 8265: letter case and width of a name, composition and kinds of space of a password."""
    name = new_user(password="pass w\u00f6rd")
    for spelling in [name.upper(), name.replace("a", "\uff41")]:
        shared_server.log_in(spelling, "pass\u00a0wo\u0308rd")
    body = {"username": name, "password": "PASS W\u00d6RD"}
    assert_error(shared_server.post("/auth/log-in", body), 401, "invalid_grant")


@pytest.mark.parametrize(
    "name", ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "sid", "status", "act", "cnf"])
def test_a_registered_claim_can_t_be_set(shared_server, user, name):
    installation = shared_server.installation
    line = installation.refused(
        USAGE, "users", "add", "with-" + name, "--password-stdin", "--claim", f'{name}="me"', input=PASSWORD)
    assert name in line
    assert "with-" + name not in {each["username"] for each in installation.json("users", "list")}
    installation.refused(USAGE, "users", "set-claims", user, "--claim", f"{name}=1")


# MARK: Errors


@pytest.mark.parametrize("path", ["/auth/log-in", "/auth/refresh"])
@pytest.mark.parametrize(
    "body",
    [
        b"{", b"[]", b"1", b'"text"', b"{}", b"", b'{"username":"a","username":"b","password":"c","refresh_token":1}',
        b'{"username":1,"password":2,"refresh_token":3}', b'{"username":null,"password":null,"refresh_token":null}',
        b'{"username":"a","password":{},"refresh_token":[]}', b"\xff\xfe", b"[" * 10_000,
        b'{"refresh_token":"a","username":"a","password":"b"} x',
    ])
def test_what_isn_t_a_request_is_400(shared_server, path, body):
    response = shared_server.request("POST", path, data=body, headers={"Content-Type": "application/json"})
    assert_error(response, 400, "invalid_request")


@pytest.mark.parametrize(
    "body",
    [b"username=a&username=b&password=c", b"username=%ZZ&password=a", b"username=%FF&password=a", b"password=a"])
def test_what_isn_t_a_form_is_400(shared_server, body):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert_error(shared_server.request("POST", "/auth/log-in", data=body, headers=headers), 400, "invalid_request")


def test_a_member_that_nobody_knows_is_passed_over(shared_server, user):
    shared_server.log_in(user, device="phone")


@pytest.mark.parametrize(
    "path", ["/", "/auth", "/auth/", "/auth/none", "/.well-known/none", "/keys", "/%2e%2e/master.secret"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_path_is_404(shared_server, method, path):
    assert_error(shared_server.request(method, path), 404, "not_found")


PATHS = {
    "/auth/log-in": "POST", "/auth/refresh": "POST", "/auth/log-out": "POST", "/auth/log-out-everywhere": "POST",
    "/auth/password": "POST", "/auth/me": "GET", "/.well-known/jwks.json": "GET",
    "/.well-known/oauth-authorization-server": "GET", "/.well-known/openid-configuration": "GET",
    "/health/live": "GET", "/health/ready": "GET",
}


@pytest.mark.parametrize("path", PATHS)
def test_a_wrong_method_is_405_with_the_right_ones(shared_server, path):
    right = {"POST": {"POST"}, "GET": {"GET", "HEAD"}}[PATHS[path]]
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - right:
        response = shared_server.request(method, path)
        assert_error(response, 405, "invalid_request")
        assert set(response.headers["Allow"].split(", ")) == right


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND"])
def test_a_method_that_nobody_uses_is_405_too(shared_server, method):
    response = shared_server.request(method, "/auth/me")
    assert response.status_code == 405
    assert "GET" in response.headers["Allow"]


@pytest.mark.parametrize("path", ["/auth/log-in", "/auth/refresh", "/auth/log-out", "/auth/log-out-everywhere"])
def test_a_body_over_64_kib_is_413(shared_server, path):
    body = b'{"padding":"' + b"x" * 65536 + b'"}'
    headers = {"Content-Type": "application/json"}
    for data in [body, iter([body[:40_000], body[40_000:]])]:
        assert_error(shared_server.request("POST", path, data=data, headers=headers), 413, "invalid_request")
    after = shared_server.get("/health/live")
    assert after.status_code == 200


def test_a_body_of_64_kib_is_read(shared_server, user):
    body = {"username": user, "password": PASSWORD, "padding": ""}
    body["padding"] = "x" * (65536 - len(json.dumps(body)))
    text = json.dumps(body)
    assert len(text) == 65536
    for data in [text, iter([text.encode()])]:
        answered(shared_server.request(
            "POST", "/auth/log-in", data=data, headers={"Content-Type": "application/json"}))


@pytest.mark.parametrize("path", ["/auth/log-in", "/auth/refresh", "/auth/log-out"])
@pytest.mark.parametrize("type", ["text/plain", "multipart/form-data; boundary=x", "application/jsonp", None])
def test_a_wrong_type_is_415(shared_server, path, type):
    body = json.dumps(UNKNOWN_USER | {"refresh_token": "x"}).encode()
    headers = {} if type is None else {"Content-Type": type}
    assert_error(shared_server.request("POST", path, data=body, headers=headers), 415, "invalid_request")


@pytest.mark.parametrize(
    "type", ["application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8"])
def test_a_type_with_parameters_is_taken(shared_server, user, type):
    body = json.dumps({"username": user, "password": PASSWORD}).encode()
    answered(shared_server.request("POST", "/auth/log-in", data=body, headers={"Content-Type": type}))


CALLS_WITH_BEARER = [
    ("GET", "/auth/me", None), ("POST", "/auth/log-out", None), ("POST", "/auth/log-out-everywhere", None),
    ("POST", "/auth/password", {"current": PASSWORD, "new": "another"}),
]


@pytest.mark.parametrize("method, path, body", CALLS_WITH_BEARER)
def test_nobody_is_401_with_a_plain_challenge(shared_server, method, path, body):
    for headers in [{}, {"Authorization": "Basic YTpi"}]:
        response = shared_server.request(method, path, json=body, headers=headers)
        assert_error(response, 401, "invalid_token")
        assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("method, path, body", CALLS_WITH_BEARER)
@pytest.mark.parametrize("field", ["Bearer", "Bearer x", "Bearer a.b.c", "Bearer a b", "bearer " + "x" * 17_000])
def test_a_bad_bearer_token_is_401_with_the_reason(shared_server, method, path, body, field):
    response = shared_server.request(method, path, json=body, headers={"Authorization": field})
    assert_error(response, 401, "invalid_token")
    assert response.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')


def test_the_scheme_is_read_in_any_case(shared_server, user):
    token = shared_server.log_in(user)["access_token"]
    for scheme in ["bearer", "BEARER"]:
        answered(shared_server.get("/auth/me", headers={"Authorization": f"{scheme} {token}"}))


def test_a_refresh_token_isn_t_a_bearer_token_nor_the_other_way_round(shared_server, user):
    pair = shared_server.log_in(user)
    assert shared_server.get("/auth/me", token=pair["refresh_token"]).status_code == 401
    assert shared_server.refuses(pair["access_token"])


def test_the_health_of_a_well_service(shared_server):
    assert answered(shared_server.get("/health/live")) == {"status": "live"}
    assert answered(shared_server.get("/health/ready")) == {"status": "ready"}


def test_too_many_log_ins_at_once_get_503_and_later_again(make_installation):
    installation = make_installation(
        password_memory="16MiB", password_iterations="12", password_concurrency="1")
    server = installation.serve()
    installation.add_user("anna")
    body = {"username": "anna", "password": PASSWORD}
    responses = at_once(*[lambda: server.post("/auth/log-in", body)] * 60)
    assert {response.status_code for response in responses} == {200, 503}
    for response in responses:
        if response.status_code == 503:
            assert_error(response, 503, "temporarily_unavailable")
            assert int(response.headers["Retry-After"]) >= 1
    server.log_in("anna")


def test_a_locked_database_is_503_and_a_lost_request_can_be_sent_again(installation):
    server = installation.serve()
    installation.add_user("anna")
    pair = server.log_in("anna")
    with contextlib.closing(sqlite3.connect(installation.folder / "token-service.sqlite")) as connection:
        connection.execute("BEGIN IMMEDIATE")
        response = server.post("/auth/refresh", {"refresh_token": pair["refresh_token"]})
        assert_error(response, 503, "temporarily_unavailable")
        assert int(response.headers["Retry-After"]) >= 1
        # What needs no write goes on.
        answered(server.get("/auth/me", token=pair["access_token"]))
        assert server.get("/health/live").status_code == 200
        connection.rollback()
    server.refresh(pair["refresh_token"])


def test_many_requests_on_one_connection(shared_server, user):
    address = urllib.parse.urlsplit(shared_server.url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    token = shared_server.log_in(user)["access_token"]
    wanted = [("GET", "/auth/me", 200), ("GET", "/none", 404), ("PUT", "/auth/me", 405), ("HEAD", "/auth/me", 200)] * 5
    for method, path, status in wanted:
        connection.request(method, path, headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        response.read()
        assert response.status == status
    connection.close()


# MARK: Refresh


def generation(server, pair):
    [(number,)] = server.installation.query(
        "SELECT generation FROM sessions WHERE id = ?", tokens.claims(pair["access_token"])["sid"])
    return number


def test_twenty_refreshes_at_once_are_one_step_forward(shared_server, user):
    for _ in range(5):
        pair = shared_server.log_in(user)
        answers = at_once(*[lambda: shared_server.refresh(pair["refresh_token"])] * 20)
        assert len({answer["refresh_token"] for answer in answers}) == 1
        assert answers[0]["refresh_token"] != pair["refresh_token"]
        assert generation(shared_server, pair) == 2
        shared_server.refresh(answers[0]["refresh_token"])
        assert generation(shared_server, pair) == 3


def test_a_lost_answer_is_repeated(shared_server, user):
    pair = shared_server.log_in(user)
    first, second = (shared_server.refresh(pair["refresh_token"]) for _ in range(2))
    assert first["refresh_token"] == second["refresh_token"]
    shared_server.refresh(first["refresh_token"])


def test_reuse_of_an_older_refresh_token_ends_the_session(shared_server, user):
    first = shared_server.log_in(user)
    second = shared_server.refresh(first["refresh_token"])
    third = shared_server.refresh(second["refresh_token"])
    other = shared_server.log_in(user)
    assert shared_server.refuses(first["refresh_token"])
    for pair in [third, second, first]:
        assert shared_server.refuses(pair["refresh_token"])
    shared_server.refresh(other["refresh_token"])


@pytest.mark.parametrize("grace, pause", [("0s", 0), ("1s", 1.2)])
def test_reuse_after_the_grace_ends_the_session(make_installation, grace, pause):
    installation = make_installation(refresh_grace=grace, algorithms="ES256")
    server = installation.serve()
    installation.add_user("anna")
    first = server.log_in("anna")
    second = server.refresh(first["refresh_token"])
    time.sleep(pause)
    assert server.refuses(first["refresh_token"])
    assert server.refuses(second["refresh_token"])


def test_a_made_up_refresh_token_is_refused_and_ends_nothing(shared_server, user):
    pair = shared_server.log_in(user)
    token = pair["refresh_token"]
    data = tokens.decode(token)
    forged = [tokens.encode(data[:24] + bytes([generation]) + data[25:]) for generation in [2, 5, 255]]
    forged += [tokens.encode(data[:-1] + bytes([data[-1] ^ 1])), tokens.changed(token), token + "=", token + "A"]
    forged += [token[:-1], "", "x", token * 2, tokens.encode(bytes(len(data))), " " + token, token + "\n", "é", "\0"]
    for each in forged:
        response = shared_server.post("/auth/refresh", {"refresh_token": each})
        assert_error(response, 401, "invalid_grant")
    shared_server.refresh(token)


def test_a_session_ends_when_it_wasn_t_used_and_at_the_end_of_its_time(make_installation):
    installation = make_installation(
        refresh_token_idle_lifetime="2s", refresh_token_lifetime="4s", algorithms="ES256", refresh_grace="0s")
    server = installation.serve()
    installation.add_user("anna")
    idle, used = server.log_in("anna"), server.log_in("anna")
    began = time.monotonic()
    while time.monotonic() - began < 3:
        used = server.refresh(used["refresh_token"])
        time.sleep(0.2)
    assert server.refuses(idle["refresh_token"])
    time.sleep(1.2)
    assert server.refuses(used["refresh_token"])


# MARK: Log-out


def ways_to_say_who(pair, first):
    return {
        "the bearer token": {"token": pair["access_token"]},
        "the refresh token": {"body": {"refresh_token": pair["refresh_token"]}},
        "the first refresh token": {"body": {"refresh_token": first["refresh_token"]}},
    }


@pytest.mark.parametrize("way", ["the bearer token", "the refresh token", "the first refresh token"])
@pytest.mark.parametrize("path", ["/auth/log-out", "/auth/log-out-everywhere"])
def test_a_log_out_ends_the_session_also_the_second_time(shared_server, user, path, way):
    first = shared_server.log_in(user)
    pair = shared_server.refresh(shared_server.refresh(first["refresh_token"])["refresh_token"])
    options = ways_to_say_who(pair, first)[way]
    for _ in range(2):
        response = shared_server.post(path, **options)
        assert (response.status_code, response.content) == (204, b"")
    assert shared_server.refuses(pair["refresh_token"])


@pytest.mark.parametrize("way", ["the bearer token", "the refresh token"])
def test_a_log_out_leaves_other_sessions_and_one_everywhere_ends_them(shared_server, new_user, way):
    name, stranger = new_user(), new_user()
    one, two, three = (shared_server.log_in(name) for _ in range(3))
    strange = shared_server.log_in(stranger)
    assert shared_server.post("/auth/log-out", **ways_to_say_who(one, one)[way]).status_code == 204
    two = shared_server.refresh(two["refresh_token"])
    assert shared_server.post("/auth/log-out-everywhere", **ways_to_say_who(two, two)[way]).status_code == 204
    for pair in [one, two, three]:
        assert shared_server.refuses(pair["refresh_token"])
    shared_server.refresh(strange["refresh_token"])
    shared_server.refresh(shared_server.log_in(name)["refresh_token"])


@pytest.mark.parametrize("path", ["/auth/log-out", "/auth/log-out-everywhere"])
@pytest.mark.parametrize("body", [None, {}, {"refresh_token": "made up"}, {"refresh_token": None}])
def test_a_log_out_that_names_nobody_is_401(shared_server, path, body):
    assert shared_server.post(path, body).status_code == 401


def test_a_log_out_while_it_is_refreshed_ends_the_session(shared_server, user):
    """Whoever wins the race: after the log-out was answered no refresh token of the session works."""
    for _ in range(10):
        pair = shared_server.log_in(user)
        token = {"refresh_token": pair["refresh_token"]}
        out, *refreshes = at_once(
            lambda: shared_server.post("/auth/log-out", token),
            *[lambda: shared_server.post("/auth/refresh", token)] * 5)
        assert out.status_code == 204
        for response in refreshes:
            if response.status_code == 200:
                assert shared_server.refuses(response.json()["refresh_token"])
            else:
                assert_error(response, 401, "invalid_grant")


# MARK: Passwords and users


def test_a_password_change_ends_the_other_sessions(shared_server, user):
    other, mine = shared_server.log_in(user), shared_server.log_in(user)
    change = {"current": PASSWORD, "new": "a better one"}
    response = shared_server.post("/auth/password", change, token=mine["access_token"])
    assert (response.status_code, response.content) == (204, b"")
    assert shared_server.refuses(other["refresh_token"])
    shared_server.refresh(mine["refresh_token"])
    body = {"username": user, "password": PASSWORD}
    assert_error(shared_server.post("/auth/log-in", body), 401, "invalid_grant")
    shared_server.log_in(user, "a better one")


@pytest.mark.parametrize(
    "body, status, code",
    [
        ({"current": "wrong", "new": "another"}, 401, "invalid_grant"),
        ({"current": "", "new": "another"}, 401, "invalid_grant"),
        ({"current": PASSWORD, "new": ""}, 400, "invalid_request"),
        ({"current": PASSWORD, "new": "x" * 1025}, 400, "invalid_request"),
        ({"current": PASSWORD, "new": "a\nb"}, 400, "invalid_request"),
        ({"current": PASSWORD}, 400, "invalid_request"),
        ({"new": "another"}, 400, "invalid_request"),
        ({}, 400, "invalid_request"),
    ])
def test_a_refused_password_change_changes_nothing(shared_server, user, body, status, code):
    other, mine = shared_server.log_in(user), shared_server.log_in(user)
    assert_error(shared_server.post("/auth/password", body, token=mine["access_token"]), status, code)
    for pair in [other, mine]:
        shared_server.refresh(pair["refresh_token"])
    shared_server.log_in(user)


@pytest.mark.parametrize("command", ["disable", "remove", "set-password"])
def test_an_operator_ends_a_user_s_sessions(shared_server, new_user, command):
    name, stranger = new_user(), new_user()
    pairs = [shared_server.log_in(name) for _ in range(2)]
    strange = shared_server.log_in(stranger)
    if command == "set-password":
        shared_server.installation.run("users", command, name, "--password-stdin", input="from the operator")
    else:
        shared_server.installation.run("users", command, name)
    for pair in pairs:
        assert shared_server.refuses(pair["refresh_token"])
        assert shared_server.post("/auth/log-out", {"refresh_token": pair["refresh_token"]}).status_code == 204
    shared_server.refresh(strange["refresh_token"])
    body = {"username": name, "password": PASSWORD}
    assert_error(shared_server.post("/auth/log-in", body), 401, "invalid_grant")


def test_a_user_who_is_enabled_again_logs_in_and_the_old_sessions_stay_ended(shared_server, user):
    pair = shared_server.log_in(user)
    shared_server.installation.run("users", "disable", user)
    shared_server.installation.run("users", "enable", user)
    assert shared_server.refuses(pair["refresh_token"])
    shared_server.log_in(user)


def test_a_user_who_comes_again_under_the_same_name_is_another_one(shared_server, user):
    before = shared_server.log_in(user)
    shared_server.installation.run("users", "remove", user)
    shared_server.installation.add_user(user)
    after = shared_server.log_in(user)
    subjects = {tokens.claims(pair["access_token"])["sub"] for pair in [before, after]}
    assert len(subjects) == 2
    assert shared_server.refuses(before["refresh_token"])


def test_a_password_change_while_logging_in_lets_no_old_password_through(make_installation):
    """A log-in that was checked before the change and would be stored after it doesn't count."""
    installation = make_installation(
        algorithms="ES256", password_memory="16MiB", password_iterations="4", password_concurrency="4")
    server = installation.serve()
    installation.add_user("anna")
    password, number = PASSWORD, 0
    for _ in range(4):
        mine = server.log_in("anna", password)
        number, old = number + 1, password
        password = f"password {number}"
        body = {"username": "anna", "password": old}
        changed, *log_ins = at_once(
            lambda: server.post("/auth/password", {"current": old, "new": password}, token=mine["access_token"]),
            *[lambda: server.post("/auth/log-in", body)] * 5)
        assert changed.status_code == 204
        for response in log_ins:
            if response.status_code == 200:
                assert server.refuses(response.json()["refresh_token"])
            else:
                assert_error(response, 401, "invalid_grant")


# MARK: One answer in one time


def failing_log_ins(name, disabled):
    return {
        "a wrong password": {"username": name, "password": "wrong"},
        "an empty password": {"username": name, "password": ""},
        "an over-long password": {"username": name, "password": "x" * 2000},
        "a control character": {"username": name, "password": "a\u0000b"},
        "a disabled user": {"username": disabled, "password": PASSWORD},
        "an unknown user": UNKNOWN_USER,
        "an empty name": {"username": "", "password": PASSWORD},
        "a name that nobody can have": {"username": "two words\u0000", "password": PASSWORD},
    }


def test_every_failed_log_in_has_the_same_answer(shared_server, new_user):
    name, disabled = new_user(), new_user()
    shared_server.installation.run("users", "disable", disabled)
    seen = set()
    for body in failing_log_ins(name, disabled).values():
        response = shared_server.post("/auth/log-in", body)
        assert_error(response, 401, "invalid_grant")
        headers = {field: value for field, value in response.headers.items() if field != "Date"}
        seen.add((response.content, json.dumps(headers, sort_keys=True)))
    assert len(seen) == 1


def test_every_failed_log_in_takes_the_same_time(make_installation):
    installation = make_installation(password_memory="19MiB", password_iterations="3", algorithms="ES256")
    server = installation.serve()
    for name in ["anna", "bert"]:
        installation.add_user(name)
    installation.run("users", "disable", "bert")
    cases = failing_log_ins("anna", "bert")
    times = {case: [] for case in cases}
    # In turns, so that what else the machine does falls on all alike.
    for _ in range(9):
        for case, body in cases.items():
            began = time.perf_counter()
            assert server.post("/auth/log-in", body).status_code == 401
            times[case].append(time.perf_counter() - began)
    medians = {case: statistics.median(samples) for case, samples in times.items()}
    usual = medians["a wrong password"]
    for case, median in medians.items():
        assert usual / 1.5 < median < usual * 1.5, f"{case}: {median:.3f} s, where a wrong password takes {usual:.3f} s"


# MARK: What began with the first test


@pytest.mark.parametrize("case", ["a silent head", "a dripping head", "a silent body", "a dripping body"])
def test_a_request_that_doesn_t_arrive_within_15_s_is_given_up(dawdlers, case):
    seconds, answer = dawdlers[case].result()
    assert seconds is not None, "still taken after 20 s"
    assert 14 < seconds < 19
    assert answer == b"" or answer.startswith(b"HTTP/1.1 408 ")


def test_an_early_answer_gives_nobody_a_connection_for_ever(shared_server):
    """The answer (413) goes out before the body is in; the next head then drips without end."""
    host, port = shared_server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(b"POST /auth/refresh HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n")
        assert b" 413 " in connection.recv(65536)
        started = time.monotonic()
        try:
            connection.sendall(b" " * 70000)
            connection.sendall(b"GET / HTTP/1.1\r\nX: ")
            while time.monotonic() - started < 25:
                connection.sendall(b"a")
                time.sleep(0.5)
        except OSError:
            pass
        assert time.monotonic() - started < 22


def test_a_length_that_no_number_holds_is_413(shared_server):
    host, port = shared_server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(
            b"POST /auth/log-out HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            b"Content-Length: 18446744073709551615\r\n\r\n")
        assert b" 413 " in connection.recv(65536)
