"""Cookie delivery, the Origin that a call with cookies needs, and what other origins may do."""

import pytest
import tokens
from cookies import sent, set_by
from service import BAD_CONFIGURATION, PASSWORD, Installation, answered, assert_error
from status_lists import me_accepts

APP = "https://app.example"
OTHER_APP = "http://localhost:3000"
NAMES = {"access_token", "refresh_token"}
SECURE_NAMES = {"__Host-access_token", "__Secure-refresh_token"}
THIRTY_DAYS = 30 * 24 * 3600


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    installation = Installation(
        tmp_path_factory.mktemp("service"), algorithms="ES256", cors_origins=f"{APP},{OTHER_APP}")
    yield installation.serve()
    installation.close()


@pytest.fixture(scope="module")
def secure_server(tmp_path_factory):
    """One behind a proxy that does the TLS."""
    installation = Installation(
        tmp_path_factory.mktemp("service"), algorithms="ES256", issuer="https://id.example")
    installation.add_user("anna")
    yield installation.serve()
    installation.close()


def asked_for_cookies(server, name, **options):
    """The answer to a log-in that asks for cookies."""
    body = {"username": name, "password": PASSWORD, "delivery": "cookie"}
    return server.post("/auth/log-in", body, **options)


def cookies_of(server, name):
    response = asked_for_cookies(server, name)
    answered(response)
    return set_by(response)


def me_takes(server, cookies, *names):
    """Whether `/auth/me` takes cookies."""
    response = server.get("/auth/me", headers=sent(cookies, *names))
    if response.status_code == 200:
        return True
    assert_error(response, 401, "invalid_token")
    return False


# MARK: Log-in


def test_a_log_in_that_asks_for_cookies_shows_no_token(shared_server, new_user):
    response = asked_for_cookies(shared_server, new_user("--scope", "read"))
    assert answered(response) == {"token_type": "Bearer", "expires_in": 600, "scope": "read"}
    assert response.headers["Cache-Control"] == "no-store"


def test_cookies_are_out_of_reach_of_scripts_and_other_sites(shared_server, user):
    cookies = cookies_of(shared_server, user)
    assert set(cookies) == NAMES
    for cookie in cookies.values():
        assert set(cookie.attributes) == {"path", "httponly", "samesite", "max-age"}
        assert cookie.attributes["httponly"] is True
        assert cookie.attributes["samesite"] == "Strict"
    assert cookies["access_token"].attributes["path"] == "/"
    assert cookies["refresh_token"].attributes["path"] == "/auth"


def test_cookies_last_as_long_as_their_tokens(shared_server, user):
    cookies = cookies_of(shared_server, user)
    assert cookies["access_token"].attributes["max-age"] == "600"
    assert 600 < int(cookies["refresh_token"].attributes["max-age"]) <= THIRTY_DAYS


def test_cookies_of_an_https_issuer_stay_on_https_and_on_its_host(secure_server):
    cookies = cookies_of(secure_server, "anna")
    assert set(cookies) == SECURE_NAMES
    for cookie in cookies.values():
        assert set(cookie.attributes) == {"path", "httponly", "samesite", "max-age", "secure"}
        assert cookie.attributes["samesite"] == "Strict"
    assert cookies["__Host-access_token"].attributes["path"] == "/"
    assert cookies["__Secure-refresh_token"].attributes["path"] == "/auth"


def test_an_https_issuer_doesn_t_take_the_plain_names(secure_server):
    """Any neighbour on plain HTTP could have set them."""
    cookies = cookies_of(secure_server, "anna")
    assert me_takes(secure_server, cookies)
    access, refresh = (cookies[name].value for name in ["__Host-access_token", "__Secure-refresh_token"])
    plain = {"Cookie": f"access_token={access}; refresh_token={refresh}"}
    assert_error(secure_server.get("/auth/me", headers=plain), 401, "invalid_token")
    assert secure_server.post("/auth/refresh", headers=plain).status_code in [400, 401, 415]


def test_nobody_gets_cookies_who_didn_t_ask(shared_server, user):
    for body in [{}, {"delivery": None}]:
        response = shared_server.post("/auth/log-in", {"username": user, "password": PASSWORD, **body})
        assert "refresh_token" in answered(response)
        assert set_by(response) == {}


@pytest.mark.parametrize("delivery", ["", "Cookie", "cookies", "header", 1, True, {}, ["cookie"]])
def test_an_unknown_delivery_is_400(shared_server, user, delivery):
    body = {"username": user, "password": PASSWORD, "delivery": delivery}
    response = shared_server.post("/auth/log-in", body)
    assert_error(response, 400, "invalid_request")
    assert set_by(response) == {}


def test_a_failed_log_in_sets_nothing(shared_server, user):
    response = shared_server.post("/auth/log-in", {"username": user, "password": "wrong", "delivery": "cookie"})
    assert_error(response, 401, "invalid_grant")
    assert set_by(response) == {}


def test_a_form_that_asks_for_cookies_is_415(shared_server, user):
    """Any page may send a form; JSON it may not."""
    body = {"username": user, "password": PASSWORD, "delivery": "cookie"}
    response = shared_server.post("/auth/log-in", data=body)
    assert_error(response, 415, "invalid_request")
    assert set_by(response) == {}
    assert shared_server.installation.json("sessions", "list", "--user", user) == []


# MARK: Use


def test_me_takes_the_cookie(shared_server, user):
    cookies = cookies_of(shared_server, user)
    response = shared_server.get("/auth/me", headers=sent(cookies, "access_token"))
    assert answered(response) == tokens.claims(cookies["access_token"].value)


def test_the_header_wins_over_the_cookie(shared_server, new_user):
    cookies, pair = cookies_of(shared_server, new_user()), shared_server.log_in(new_user())
    response = shared_server.get("/auth/me", token=pair["access_token"], headers=sent(cookies))
    assert answered(response) == tokens.claims(pair["access_token"])


def test_a_bad_header_isn_t_made_good_by_a_cookie(shared_server, user):
    cookies = cookies_of(shared_server, user)
    response = shared_server.get("/auth/me", token="a.b.c", headers=sent(cookies))
    assert_error(response, 401, "invalid_token")


def test_a_refresh_token_is_no_access_token_in_a_cookie_either(shared_server, user):
    cookies = cookies_of(shared_server, user)
    headers = {"Cookie": f"access_token={cookies['refresh_token'].value}"}
    assert_error(shared_server.get("/auth/me", headers=headers), 401, "invalid_token")


@pytest.mark.parametrize(
    "line", ["COOKIE", "a=b; COOKIE", "COOKIE;b=c", 'q="x"; COOKIE', "COOKIE; =; ;;", "xaccess_token=x; COOKIE"])
def test_a_cookie_is_found_among_others(shared_server, user, line):
    cookie = f"access_token={cookies_of(shared_server, user)['access_token'].value}"
    answered(shared_server.get("/auth/me", headers={"Cookie": line.replace("COOKIE", cookie)}))


BODIES = {"nothing": {}, "an empty object": {"json": {}}, "another member": {"json": {"device": "phone"}}}


@pytest.mark.parametrize("body", BODIES)
def test_a_refresh_with_the_cookie_renews_both(shared_server, user, body):
    before = cookies_of(shared_server, user)
    response = shared_server.request("POST", "/auth/refresh", headers=sent(before, "refresh_token"), **BODIES[body])
    assert set(answered(response)) == {"token_type", "expires_in", "scope"}
    assert response.headers["Cache-Control"] == "no-store"
    after = set_by(response)
    assert set(after) == NAMES
    for name in NAMES:
        assert after[name].value != before[name].value
        assert set(after[name].attributes) == {"path", "httponly", "samesite", "max-age"}
    assert me_takes(shared_server, after)
    answered(shared_server.post("/auth/refresh", headers=sent(after)))


def test_a_refresh_with_the_secure_cookie_renews_both(secure_server):
    before = cookies_of(secure_server, "anna")
    response = secure_server.post("/auth/refresh", headers=sent(before))
    answered(response)
    after = set_by(response)
    assert set(after) == SECURE_NAMES
    assert all(cookie.attributes["secure"] is True for cookie in after.values())
    assert me_takes(secure_server, after)


def test_a_refresh_with_a_form_and_the_cookie_is_415(shared_server, user):
    cookies = cookies_of(shared_server, user)
    response = shared_server.post("/auth/refresh", data={"device": "phone"}, headers=sent(cookies))
    assert_error(response, 415, "invalid_request")
    assert set_by(response) == {}
    answered(shared_server.post("/auth/refresh", headers=sent(cookies)))


def test_a_token_in_the_body_is_answered_in_the_body(shared_server, user):
    """Who sends a refresh token by hand gets the next one there."""
    pair = shared_server.log_in(user)
    response = shared_server.post("/auth/refresh", {"refresh_token": pair["refresh_token"]})
    assert "refresh_token" in answered(response)
    assert set_by(response) == {}


@pytest.mark.parametrize("value", ["", "x", "A" * 90, "a b", "%00"])
def test_a_bad_refresh_cookie_is_refused(shared_server, value):
    response = shared_server.post("/auth/refresh", headers={"Cookie": f"refresh_token={value}"})
    assert response.status_code in ([400, 401] if value == "" else [401])
    assert set(response.json()) == {"error", "error_description"}
    assert all(cookie.is_cleared for cookie in set_by(response).values())


def test_a_reused_refresh_cookie_ends_the_session(shared_server, user):
    first = cookies_of(shared_server, user)
    second = set_by(shared_server.post("/auth/refresh", headers=sent(first)))
    third = set_by(shared_server.post("/auth/refresh", headers=sent(second)))
    assert me_takes(shared_server, third)
    assert_error(shared_server.post("/auth/refresh", headers=sent(first)), 401, "invalid_grant")
    assert not me_takes(shared_server, third)


@pytest.mark.parametrize("path", ["/auth/log-out", "/auth/log-out-everywhere"])
@pytest.mark.parametrize("names", [(), ("access_token",), ("refresh_token",)])
def test_a_log_out_with_cookies_ends_the_session_and_clears_both(shared_server, user, path, names):
    cookies = cookies_of(shared_server, user)
    for _ in range(2):
        response = shared_server.post(path, headers=sent(cookies, *names))
        assert (response.status_code, response.content) == (204, b"")
        cleared = set_by(response)
        assert set(cleared) == NAMES
        for name, cookie in cleared.items():
            assert cookie.is_cleared and cookie.value == ""
            assert cookie.attributes["path"] == cookies[name].attributes["path"]
    assert not me_takes(shared_server, cookies)
    assert_error(shared_server.post("/auth/refresh", headers=sent(cookies)), 401, "invalid_grant")


def test_a_log_out_clears_the_secure_cookies(secure_server):
    cookies = cookies_of(secure_server, "anna")
    response = secure_server.post("/auth/log-out", headers=sent(cookies))
    assert response.status_code == 204
    cleared = set_by(response)
    assert set(cleared) == SECURE_NAMES
    # A browser drops a line that clears a cookie of such a name without Secure.
    assert all(cookie.is_cleared and cookie.attributes["secure"] is True for cookie in cleared.values())


def test_a_log_out_everywhere_with_a_cookie_ends_the_other_sessions(shared_server, user):
    other, cookies = shared_server.log_in(user), cookies_of(shared_server, user)
    assert shared_server.post("/auth/log-out-everywhere", headers=sent(cookies)).status_code == 204
    assert shared_server.refuses(other["refresh_token"])


def test_a_password_is_changed_with_a_cookie(shared_server, user):
    other, cookies = shared_server.log_in(user), cookies_of(shared_server, user)
    change = {"current": PASSWORD, "new": "another one"}
    assert shared_server.post("/auth/password", change, headers=sent(cookies)).status_code == 204
    assert shared_server.refuses(other["refresh_token"])
    assert me_takes(shared_server, cookies)
    shared_server.log_in(user, "another one")


def test_a_form_changes_no_password_with_a_cookie(shared_server, user):
    cookies = cookies_of(shared_server, user)
    change = {"current": PASSWORD, "new": "another one"}
    response = shared_server.post("/auth/password", data=change, headers=sent(cookies))
    assert_error(response, 415, "invalid_request")
    shared_server.log_in(user)


def test_sessions_are_listed_and_ended_with_a_cookie(shared_server, user):
    other, cookies = shared_server.log_in(user), cookies_of(shared_server, user)
    sessions = answered(shared_server.get("/auth/sessions", headers=sent(cookies)))
    (another,) = [session["id"] for session in sessions if not session["current"]]
    response = shared_server.request("DELETE", f"/auth/sessions/{another}", headers=sent(cookies))
    assert response.status_code == 204
    assert not me_accepts(shared_server, other["access_token"])
    assert me_takes(shared_server, cookies)


# MARK: The Origin


FOREIGN = [
    "https://evil.example", "null", APP + ".evil.example", "https://app.example:8443", "http://app.example",
    APP + "/", "https://sub.app.example", "http://127.0.0.1", "https://id.example",
]


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_foreign_origin_at_log_in_sets_nothing(shared_server, user, origin):
    """Nobody may be forced into another's session."""
    response = asked_for_cookies(shared_server, user, headers={"Origin": origin})
    assert_error(response, 403, "invalid_request")
    assert set_by(response) == {}
    assert shared_server.installation.json("sessions", "list", "--user", user) == []


UNSAFE_CALLS = {
    "a refresh": ("POST", "/auth/refresh", None),
    "a log-out": ("POST", "/auth/log-out", None),
    "a log-out everywhere": ("POST", "/auth/log-out-everywhere", None),
    "a password change": ("POST", "/auth/password", {"current": PASSWORD, "new": "the stranger's"}),
    "an ending": ("DELETE", "/auth/sessions/{id}", None),
}


def generations(server, user):
    return server.installation.query(
        "SELECT sessions.id, generation, ended_at FROM sessions JOIN users ON users.id = user_id "
        "WHERE users.name = ? ORDER BY sessions.id", user)


@pytest.mark.parametrize("call", UNSAFE_CALLS)
@pytest.mark.parametrize("origin", ["https://evil.example", "null", APP + ".evil.example"])
def test_a_foreign_origin_with_cookies_changes_and_sets_nothing(shared_server, user, call, origin):
    method, path, body = UNSAFE_CALLS[call]
    other, cookies = shared_server.log_in(user), cookies_of(shared_server, user)
    before = generations(shared_server, user)
    response = shared_server.request(
        method, path.replace("{id}", tokens.claims(other["access_token"])["sid"]), json=body,
        headers=sent(cookies) | {"Origin": origin})
    assert_error(response, 403, "invalid_request")
    assert set_by(response) == {}
    assert generations(shared_server, user) == before
    assert me_takes(shared_server, cookies) and me_accepts(shared_server, other["access_token"])
    shared_server.log_in(user)


@pytest.mark.parametrize("call", UNSAFE_CALLS)
@pytest.mark.parametrize("origin", [None, "the issuer", APP, OTHER_APP])
def test_a_known_origin_with_cookies_may_call(shared_server, user, call, origin):
    method, path, body = UNSAFE_CALLS[call]
    origin = shared_server.url if origin == "the issuer" else origin
    headers = {} if origin is None else {"Origin": origin}
    response = asked_for_cookies(shared_server, user, headers=headers)
    answered(response)
    other, cookies = shared_server.log_in(user), set_by(response)
    response = shared_server.request(
        method, path.replace("{id}", tokens.claims(other["access_token"])["sid"]), json=body,
        headers=sent(cookies) | headers)
    assert response.status_code == (200 if call == "a refresh" else 204)


def test_an_https_issuer_s_own_origin_may_call(secure_server):
    answered(asked_for_cookies(secure_server, "anna", headers={"Origin": "https://id.example"}))


@pytest.mark.parametrize("origin", ["http://id.example", "https://id.example:8443", "the listening address"])
def test_an_https_issuer_s_neighbours_may_not(secure_server, origin):
    origin = secure_server.url if origin == "the listening address" else origin
    response = asked_for_cookies(secure_server, "anna", headers={"Origin": origin})
    assert_error(response, 403, "invalid_request")
    assert set_by(response) == {}


def test_a_foreign_origin_without_cookies_is_as_good_as_none(shared_server, user):
    """Who has a token in hand needs no cookie's protection."""
    headers = {"Origin": "https://evil.example"}
    pair = answered(shared_server.post("/auth/log-in", {"username": user, "password": PASSWORD}, headers=headers))
    pair = answered(shared_server.post(
        "/auth/refresh", {"refresh_token": pair["refresh_token"]}, headers=headers))
    assert shared_server.post("/auth/log-out", token=pair["access_token"], headers=headers).status_code == 204


def test_a_foreign_origin_may_read_nothing_with_a_cookie(shared_server, user):
    """A safe call is answered; that the answer can't be read there is the browser's part, which needs the header."""
    cookies = cookies_of(shared_server, user)
    response = shared_server.get("/auth/me", headers=sent(cookies) | {"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in response.headers
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert "origin" in listed(response, "Vary")


# MARK: CORS


def listed(response, name):
    return {each.strip().lower() for each in response.headers.get(name, "").split(",")}


def preflight(server, path, origin, method="POST", headers="authorization,content-type"):
    return server.request("OPTIONS", path, headers={
        "Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers})


CALLS = {
    "/auth/log-in": "POST", "/auth/refresh": "POST", "/auth/log-out": "POST", "/auth/log-out-everywhere": "POST",
    "/auth/password": "POST", "/auth/me": "GET", "/auth/sessions": "GET", "/auth/sessions/x": "DELETE",
}


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize("origin", [APP, OTHER_APP])
def test_a_preflight_from_a_known_origin_is_let_in(shared_server, path, origin):
    response = preflight(shared_server, path, origin, CALLS[path])
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["Access-Control-Allow-Origin"] == origin
    assert response.headers["Access-Control-Allow-Credentials"] == "true"
    assert CALLS[path].lower() in listed(response, "Access-Control-Allow-Methods")
    assert {"authorization", "content-type"} <= listed(response, "Access-Control-Allow-Headers")
    # With credentials, a browser takes a star for the letter.
    for name in ["Access-Control-Allow-Headers", "Access-Control-Allow-Methods"]:
        assert "*" not in response.headers[name]
    assert "origin" in listed(response, "Vary")


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize("origin", ["https://evil.example", "null", APP + ".evil.example"])
def test_a_preflight_from_elsewhere_is_let_in_nowhere(shared_server, path, origin):
    response = preflight(shared_server, path, origin, CALLS[path])
    assert (response.status_code, response.content) == (204, b"")
    assert not [name for name in response.headers if name.lower().startswith("access-control-")]
    assert "origin" in listed(response, "Vary")


def test_nobody_is_let_in_where_no_origin_is_set(secure_server):
    for origin in [APP, "https://evil.example", "null"]:
        response = preflight(secure_server, "/auth/log-in", origin)
        assert response.status_code == 204
        assert "Access-Control-Allow-Origin" not in response.headers


ANSWERS = {
    "a log-in": ("POST", "/auth/log-in", {"json": {"username": "{user}", "password": PASSWORD}}, 200),
    "a failed log-in": ("POST", "/auth/log-in", {"json": {"username": "{user}", "password": "x"}}, 401),
    "no JSON": ("POST", "/auth/log-in", {"data": b"{", "headers": {"Content-Type": "application/json"}}, 400),
    "a wrong type": ("POST", "/auth/log-in", {"data": b"{", "headers": {"Content-Type": "text/plain"}}, 415),
    "too long a body": (
        "POST", "/auth/log-in", {"data": b" " * 70_000, "headers": {"Content-Type": "application/json"}}, 413),
    "no token": ("GET", "/auth/me", {}, 401),
    "a wrong method": ("PUT", "/auth/me", {}, 405),
    "no such path": ("GET", "/auth/none", {}, 404),
    "nobody's log-out": ("POST", "/auth/log-out", {}, 401),
}


def asked(server, user, case, origin):
    method, path, options, status = ANSWERS[case]
    options = dict(options)
    if "json" in options:
        options["json"] = options["json"] | {"username": user}
    options["headers"] = options.get("headers", {}) | {"Origin": origin}
    response = server.request(method, path, **options)
    assert response.status_code == status, response.text
    return response


@pytest.mark.parametrize("case", ANSWERS)
def test_a_known_origin_may_read_the_answer_an_error_too(shared_server, user, case):
    response = asked(shared_server, user, case, APP)
    assert response.headers["Access-Control-Allow-Origin"] == APP
    assert response.headers["Access-Control-Allow-Credentials"] == "true"
    assert "origin" in listed(response, "Vary")


@pytest.mark.parametrize("case", ANSWERS)
@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_another_origin_may_not_read_the_answer(shared_server, user, case, origin):
    response = asked(shared_server, user, case, origin)
    assert "Access-Control-Allow-Origin" not in response.headers
    assert "origin" in listed(response, "Vary")


def test_a_refused_origin_may_not_read_why(shared_server, user):
    response = asked_for_cookies(shared_server, user, headers={"Origin": "https://evil.example"})
    assert response.status_code == 403
    assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize(
    "path",
    ["/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"])
def test_any_origin_may_read_what_is_published(shared_server, path):
    for headers in [{}, {"Origin": "https://anywhere.example"}]:
        response = shared_server.get(path, headers=headers)
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize(
    "value",
    ["app.example", "*", "https://app.example/path", "https://", "null", "ftp://app.example",
     "https://app.example,", "https://user@app.example", "https://app.example?x"])
def test_an_origin_that_is_none_stops_the_start(installation, value):
    settings = {"listen": "127.0.0.1:0", "cors-origins": value}
    assert "cors-origins" in installation.refused(BAD_CONFIGURATION, "serve", settings=settings)
