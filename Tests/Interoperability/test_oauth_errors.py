"""What /oauth2/* refuse: a test for each MUST of RFC 6749, 7009, 7662 and 8707, named after its section.

RFC 7523 is in test_oauth_assertions.py, RFC 8693 in test_token_exchange.py."""

import base64
import hashlib
import json
import time
import types
import urllib.parse

import pytest
import tokens
from oauth import (
    ACCESS_TOKEN, ENDPOINTS, EXCHANGE, FIRST_PARTY, INTROSPECT, JWT, LEAST, REVOKE, TOKEN, Client, KeyClient, ask,
    assert_refused, assert_unauthenticated, exchange, exchanged, granted, introspection, revoke, token, token_response)
from service import Installation, answered, eventually
from status_lists import me_accepts, path as list_path, reference

FORM = "application/x-www-form-urlencoded"

at_every_endpoint = pytest.mark.parametrize("path", ENDPOINTS)


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    installation = Installation(
        tmp_path_factory.mktemp("service"), algorithms="ES256", clock_leeway="1s", refresh_grace="0s")
    yield installation.serve()
    installation.close()


@pytest.fixture(scope="module")
def clients(shared_server):
    installation = shared_server.installation
    two = ["--scope", "read", "--scope", "write"]
    targets = ["https://one.example", "https://two.example/api", "orders", "https://one.example#part"]
    return types.SimpleNamespace(
        plain=Client(installation, "plain", *two), other=Client(installation, "other", "--scope", "admin"),
        mighty=Client(
            installation, "mighty", *two, *[f"--audience={target}" for target in targets],
            *[f"--may={what}" for what in ["introspect", "revoke", "exchange"]]),
        key=KeyClient(installation, "key", *two), bare=Client(installation, "bare"),
        brief=Client(installation, "brief", "--access-token-lifetime", "1s"))


@pytest.fixture
def pair(shared_server, new_user):
    return shared_server.log_in(new_user("--scope", "read", "--scope", "write"))


def post(server, path, body, type=FORM, **options):
    return server.request("POST", path, data=body, headers={"Content-Type": type} if type else {}, **options)


# MARK: RFC 6749: how a request is written


@at_every_endpoint
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
def test_rfc6749_3_2_a_client_must_post(shared_server, path, method):
    response = shared_server.request(method, path)
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")


@at_every_endpoint
@pytest.mark.parametrize(
    "type", ["application/json", "text/plain", "multipart/form-data; boundary=x", FORM + "x", None])
def test_rfc6749_3_2_only_a_form_is_read(shared_server, clients, path, type):
    body = json.dumps(LEAST[path]).encode() if type == "application/json" else urllib.parse.urlencode(LEAST[path])
    assert_refused(post(shared_server, path, body, type, auth=clients.plain.basic), 415, "invalid_request")


@pytest.mark.parametrize(
    "type", [FORM + ";charset=UTF-8", "Application/X-WWW-Form-Urlencoded", FORM + " ; charset=utf-8"])
def test_rfc6749_3_2_a_form_is_known_by_its_type_in_any_spelling(shared_server, clients, type):
    granted(post(shared_server, TOKEN, "grant_type=client_credentials", type, auth=clients.plain.basic))


@at_every_endpoint
@pytest.mark.parametrize(
    "body",
    [
        b"", b"&", b"grant_type", b"grant_type=%ZZ", b"grant_type=%", b"token=%FF", b"\xff=\xfe", b"token=%00%",
        b"&".join(b"token%d=x" % number for number in range(5000)),
    ])
def test_rfc6749_5_2_what_is_no_form_or_lacks_what_is_needed_is_invalid(shared_server, clients, path, body):
    assert_refused(post(shared_server, path, body, auth=clients.plain.basic), 400, "invalid_request")


def test_rfc6749_3_2_a_parameter_without_a_value_is_treated_as_omitted(shared_server, clients, pair):
    names = ["scope", "resource", "audience", "client_id", "client_secret", "client_assertion", "client_assertion_type"]
    empty = dict.fromkeys(names, "")
    assert token_response(shared_server, clients.plain, **empty)["scope"] == "read write"
    refreshed = ask(shared_server, TOKEN, grant_type="refresh_token", refresh_token=pair["refresh_token"], **empty)
    assert granted(refreshed)["scope"] == "read write"
    exchanged(
        shared_server, clients.mighty, pair["access_token"], actor_token="", actor_token_type="",
        requested_token_type="")
    for path, client, parameters in [
            (TOKEN, clients.mighty, {"grant_type": ""}),
            (TOKEN, None, {"grant_type": "refresh_token", "refresh_token": ""}),
            (TOKEN, clients.mighty, {"grant_type": EXCHANGE, "subject_token": "", "subject_token_type": ACCESS_TOKEN}),
            (REVOKE, clients.mighty, {"token": ""}), (INTROSPECT, clients.mighty, {"token": ""})]:
        assert_refused(ask(shared_server, path, client, **parameters), 400, "invalid_request")


@at_every_endpoint
def test_rfc6749_3_2_an_unknown_parameter_is_ignored(shared_server, clients, path):
    response = ask(shared_server, path, clients.plain, **LEAST[path], callback="x", grant="y", Token="z")
    assert response.status_code == 200


REPEATED = {
    TOKEN: [
        "grant_type", "scope", "refresh_token", "client_id", "client_secret", "client_assertion",
        "client_assertion_type", "subject_token", "subject_token_type", "actor_token", "actor_token_type",
        "requested_token_type"],
    REVOKE: ["token", "token_type_hint", "client_id"], INTROSPECT: ["token", "token_type_hint", "client_secret"],
}


@pytest.mark.parametrize("path, name", [(path, name) for path, names in REPEATED.items() for name in names])
def test_rfc6749_3_2_a_parameter_must_not_be_there_twice(shared_server, clients, pair, path, name):
    good = dict(LEAST[path])
    if name.startswith(("subject", "actor", "requested")):
        good = {"grant_type": EXCHANGE, "subject_token": pair["access_token"], "subject_token_type": ACCESS_TOKEN}
    if name == "refresh_token":
        good = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
    auth = None if name.startswith(("client", "refresh")) else clients.mighty.basic
    if name in ["client_id", "client_secret"]:
        good |= dict(zip(["client_id", "client_secret"], clients.mighty.basic))
    if name.startswith("client_assertion"):
        good |= clients.key.fields(shared_server)
    value = good.get(name, {"scope": "read"}.get(name, ACCESS_TOKEN))
    response = shared_server.post(path, data=good | {name: [value, value]}, auth=auth)
    assert_refused(response, 400, "invalid_request")
    if name == "refresh_token":
        shared_server.refresh(pair["refresh_token"])


# MARK: RFC 6749: who asks


@at_every_endpoint
def test_rfc6749_2_3_a_client_must_not_use_two_methods(shared_server, clients, path):
    secret = dict(zip(["client_id", "client_secret"], clients.plain.basic))
    assertion = clients.key.fields(shared_server)
    for auth, fields in [
            (clients.plain.basic, secret), (clients.plain.basic, {"client_secret": clients.plain.secret}),
            (clients.plain.basic, assertion), (None, secret | assertion),
            (None, assertion | {"client_secret": clients.plain.secret})]:
        response = shared_server.post(path, data=LEAST[path] | fields, auth=auth)
        assert_refused(response, 400, "invalid_request")
    assert shared_server.post(path, data=LEAST[path] | assertion).status_code == 200


@at_every_endpoint
def test_rfc6749_2_3_1_a_secret_in_the_uri_is_none(shared_server, clients, path):
    id, secret = clients.plain.basic
    query = urllib.parse.urlencode({"client_id": id, "client_secret": secret})
    assert_unauthenticated(ask(shared_server, f"{path}?{query}", **LEAST[path]))
    assert_unauthenticated(ask(shared_server, f"{path}?client_secret={secret}", client_id=id, **LEAST[path]))
    query = urllib.parse.urlencode(LEAST[path])
    assert_refused(ask(shared_server, f"{path}?{query}", clients.plain, x="y"), 400, "invalid_request")
    response = ask(shared_server, f"{path}?{query}&scope=admin&client_secret=wrong", clients.plain, **LEAST[path])
    assert response.status_code == 200


def basic(text):
    return {"Authorization": "Basic " + base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()}


def with_header(server, header, path=TOKEN, **parameters):
    return server.post(path, data=LEAST[path] | parameters, headers=header)


def test_rfc6749_2_3_1_basic_credentials_are_form_urlencoded(shared_server, clients):
    id, secret = ("".join(f"%{byte:02x}" for byte in text.encode()) for text in clients.plain.basic)
    granted(with_header(shared_server, basic(f"{id}:{secret}")))
    granted(with_header(shared_server, basic(f"{id}:{secret}".upper())))
    header = basic(":".join(clients.plain.basic))
    granted(with_header(shared_server, {"Authorization": header["Authorization"].replace("Basic", "bAsIc")}))
    granted(with_header(shared_server, header, client_id=clients.plain.id))


@at_every_endpoint
def test_rfc6749_5_2_credentials_that_are_none_or_wrong_are_401(shared_server, clients, path):
    id, secret = clients.plain.basic
    for text in [
            "", ":", id, f"{id}:", f":{secret}", f"{id}:{secret} ", f"{id}:{secret}%", f"{id}:{secret}%zz",
            f"{id}:{secret}%00", f"{id}:+{secret}", f"{id}:{secret}:", f"nobody:{secret}", f"{id}:{secret[:-1]}",
            f"{id}:{id}", f"{clients.other.id}:{secret}", f"{clients.key.id}:", f"plain:{secret}", f"{FIRST_PARTY}:x",
            b"\xff\xfe:\xff", f"{id}:{secret}\0", f"{id}:{hashlib.sha256(secret.encode()).hexdigest()}"]:
        assert_unauthenticated(with_header(shared_server, basic(text), path))
    for value in ["Basic", "Basic !", "Basic ====", "Bearer x", "Digest x", f"Bearer {secret}", "Basic " + "A" * 9000]:
        assert_unauthenticated(with_header(shared_server, {"Authorization": value}, path))
    for fields in [
            {}, {"client_id": id}, {"client_id": "nobody", "client_secret": secret},
            {"client_id": id, "client_secret": "wrong"}, {"client_id": clients.key.id, "client_secret": "x"},
            {"client_id": clients.key.id}, {"client_id": clients.other.id, "client_secret": secret}]:
        assert_unauthenticated(ask(shared_server, path, **LEAST[path], **fields))
    assert_refused(ask(shared_server, path, **LEAST[path], client_secret=secret), 400, "invalid_request")
    assert_refused(ask(shared_server, path, clients.plain, **LEAST[path], client_id="x"), 400, "invalid_request")


@pytest.mark.parametrize("path", [REVOKE, INTROSPECT])
def test_rfc7009_2_1_and_rfc7662_2_1_a_public_client_isn_t_enough(shared_server, pair, path):
    assert_unauthenticated(ask(shared_server, path, token=pair["access_token"], client_id=FIRST_PARTY))
    assert_unauthenticated(with_header(shared_server, basic(FIRST_PARTY + ":"), path))
    assert me_accepts(shared_server, pair["access_token"])


# MARK: RFC 6749: what is asked for


@pytest.mark.parametrize(
    "grant",
    [
        "password", "authorization_code", "implicit", "Client_Credentials", "client_credentials ", "x\0", "\u00e9\"\\",
        "urn:ietf:params:oauth:grant-type:jwt-bearer", "urn:ietf:params:oauth:grant-type:device_code", "a" * 30_000,
    ])
def test_rfc6749_5_2_an_unknown_grant_is_unsupported(shared_server, clients, grant):
    assert_refused(ask(shared_server, TOKEN, clients.plain, grant_type=grant), 400, "unsupported_grant_type")


def test_rfc6749_4_4_2_client_credentials_are_for_confidential_clients_only(shared_server):
    response = ask(shared_server, TOKEN, grant_type="client_credentials", client_id=FIRST_PARTY)
    assert_refused(response, 400, "unauthorized_client")


def test_rfc6749_4_4_3_there_is_no_refresh_token_for_client_credentials(shared_server, clients):
    assert set(token_response(shared_server, clients.plain)) == {"access_token", "token_type", "expires_in", "scope"}
    assert set(token_response(shared_server, clients.bare)) == {"access_token", "token_type", "expires_in"}


@pytest.mark.parametrize(
    "scope",
    [
        "admin", "read admin", "READ", "read\twrite", "read,write", '"read"', "re\\ad", "\u00e9", "read\0", " ",
        "r" * 30_000,
    ])
def test_rfc6749_5_2_a_scope_that_is_unknown_malformed_or_beyond_what_was_granted(shared_server, clients, pair, scope):
    assert_refused(
        ask(shared_server, TOKEN, clients.plain, grant_type="client_credentials", scope=scope), 400, "invalid_scope")
    refresh = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
    assert_refused(ask(shared_server, TOKEN, **refresh, scope=scope), 400, "invalid_scope")
    assert_refused(exchange(shared_server, clients.mighty, pair["access_token"], scope=scope), 400, "invalid_scope")
    # The refresh token isn't used up: see RFC 6749, 6.
    granted(ask(shared_server, TOKEN, **refresh))


def test_rfc6749_6_a_refresh_token_belongs_to_the_client_it_was_issued_to(shared_server, clients, pair):
    refresh = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
    for client in [clients.plain, clients.mighty, clients.key]:
        assert_refused(ask(shared_server, TOKEN, client, **refresh), 400, "invalid_grant")
    assert_unauthenticated(ask(shared_server, TOKEN, **refresh, client_id=clients.plain.id))
    granted(ask(shared_server, TOKEN, **refresh, client_id=FIRST_PARTY))


def test_rfc6749_6_a_refresh_token_that_is_used_up_or_none_is_refused(shared_server, pair):
    used = pair["refresh_token"]
    fresh = granted(ask(shared_server, TOKEN, grant_type="refresh_token", refresh_token=used))["refresh_token"]
    for text in ["x", pair["access_token"], tokens.changed(fresh), fresh + "=", fresh[:-1], used, fresh]:
        # The last but one is a reuse, and ends the session.
        assert_refused(ask(shared_server, TOKEN, grant_type="refresh_token", refresh_token=text), 400, "invalid_grant")


# MARK: RFC 8707


@pytest.mark.parametrize(
    "resource",
    [
        "orders", "/api", "//one.example", "one.example", "https://one.example#part", "https://one.example#",
        "https://three.example", "https://one.example/", "https://one.example.evil", "HTTPS://ONE.EXAMPLE", "\u00e9",
        "https://", ":", "a" * 30_000,
    ])
def test_rfc8707_2_a_resource_is_an_absolute_uri_of_the_client_s_without_a_fragment(
        shared_server, clients, pair, resource):
    for parameters in [{"resource": resource}, {"resource": ["https://one.example", resource]}]:
        response = ask(shared_server, TOKEN, clients.mighty, grant_type="client_credentials", **parameters)
        assert_refused(response, 400, "invalid_target")
        response = exchange(shared_server, clients.mighty, pair["access_token"], **parameters)
        assert_refused(response, 400, "invalid_target")


def test_rfc8707_2_resources_and_audiences_may_repeat(shared_server, clients):
    both = ["https://one.example", "https://two.example/api"]
    claims = tokens.claims(token(shared_server, clients.mighty, resource=both, audience="orders"))
    assert set(claims["aud"]) == {*both, "orders"}
    assert tokens.claims(token(shared_server, clients.mighty))["aud"] == "https://one.example"
    assert tokens.claims(token(shared_server, clients.plain))["aud"] == shared_server.url
    assert_refused(
        ask(shared_server, TOKEN, clients.mighty, grant_type="client_credentials", audience="https://no.example"), 400,
        "invalid_target")


def test_rfc8707_2_2_a_refresh_is_for_the_audience_of_log_ins(shared_server, pair):
    refresh = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
    for target in [{"resource": "https://one.example"}, {"audience": "orders"}]:
        assert_refused(ask(shared_server, TOKEN, **refresh, **target), 400, "invalid_target")
    assert tokens.claims(granted(ask(shared_server, TOKEN, **refresh, resource=shared_server.url))["access_token"])


# MARK: RFC 7009


@pytest.mark.parametrize("hint", ["refresh_token", "access_token", "unknown", "\u00e9" * 5000])
def test_rfc7009_2_1_a_wrong_hint_is_no_hindrance(shared_server, clients, new_user, hint):
    own = token(shared_server, clients.plain)
    revoke(shared_server, clients.plain, own, token_type_hint=hint)
    assert not me_accepts(shared_server, own)
    pair = shared_server.log_in(new_user())
    revoke(shared_server, clients.mighty, pair["refresh_token"], token_type_hint=hint)
    assert not me_accepts(shared_server, pair["access_token"])


def test_rfc7009_2_1_a_token_of_another_client_is_left_alone(shared_server, clients, pair):
    strange = token(shared_server, clients.plain)
    swapped = exchanged(shared_server, clients.mighty, pair["access_token"])
    for text in [strange, swapped, *pair.values()]:
        revoke(shared_server, clients.other, str(text))
    assert me_accepts(shared_server, strange)
    assert introspection(shared_server, clients.mighty, swapped)["active"]
    shared_server.refresh(pair["refresh_token"])


@pytest.mark.parametrize("which", ["access_token", "refresh_token", "used_up", "exchanged"])
def test_rfc7009_2_1_who_may_revoke_ends_the_whole_session(shared_server, clients, pair, which):
    texts = {"used_up": pair["refresh_token"]}
    texts |= shared_server.refresh(shared_server.refresh(pair["refresh_token"])["refresh_token"])
    texts["exchanged"] = exchanged(shared_server, clients.mighty, texts["access_token"])
    revoke(shared_server, clients.mighty, texts[which])
    assert not me_accepts(shared_server, texts["access_token"])
    assert shared_server.refuses(texts["refresh_token"])
    assert introspection(shared_server, clients.mighty, texts["exchanged"]) == {"active": False}


def worthless(server, clients, pair):
    """Texts that are no token that is good now."""
    gone = server.log_in(server.installation.add_user(f"gone-{time.monotonic_ns()}")["username"])
    assert server.post("/auth/log-out", token=gone["access_token"]).status_code == 204
    brief = token(server, clients.brief)
    eventually(lambda: not me_accepts(server, brief), within=4)
    used = pair["refresh_token"]
    fresh = server.refresh(used)["refresh_token"]
    uri, _ = reference(pair["access_token"])
    return {
        "an ended session's access token": gone["access_token"], "its refresh token": gone["refresh_token"],
        "an expired token": brief, "a used-up refresh token": used, "a changed refresh token": tokens.changed(fresh),
        "a status list": server.get(list_path(uri)).text, "a removed client's token": removed_client_s_token(server),
        "anything": "x", "combining marks": MARKS * 2000, "a NUL": "\0", "dots": "..", "brackets": "[" * 9000,
    } | tokens.tampered(pair["access_token"])


def removed_client_s_token(server):
    client = Client(server.installation, f"removed-{time.monotonic_ns()}")
    text = token(server, client)
    server.installation.run("clients", "remove", client.name)
    eventually(lambda: not me_accepts(server, text), within=2)
    return text


def test_rfc7009_2_2_rfc7662_2_2_and_rfc8693_2_2_2_what_is_not_good_now(shared_server, clients, pair):
    """Revoking it is 200, asking about it tells nothing but that, and nothing is exchanged for it."""
    for how, text in worthless(shared_server, clients, pair).items():
        assert introspection(shared_server, clients.mighty, text) == {"active": False}, how
        assert_refused(exchange(shared_server, clients.mighty, text), 400, "invalid_request")
        assert_refused(
            exchange(shared_server, clients.mighty, pair["access_token"], actor_token=text, actor_token_type=JWT), 400,
            "invalid_request")
        if how != "a used-up refresh token":
            revoke(shared_server, clients.mighty, text)
    assert me_accepts(shared_server, pair["access_token"])


# MARK: RFC 7662


def test_rfc7662_2_2_who_may_not_ask_is_told_nothing(shared_server, clients, pair):
    own = token(shared_server, clients.plain)
    for text in [own, pair["access_token"], pair["refresh_token"], "x"]:
        assert introspection(shared_server, clients.plain, text) == {"active": False}


def test_rfc7662_2_2_a_user_s_own_claims_stand_for_none_of_the_answer(shared_server, clients, new_user):
    claims = ["active=false", 'username="root"', 'token_type="none"', "plan={}"]
    name = new_user("--scope", "read", *[f"--claim={claim}" for claim in claims])
    pair = shared_server.log_in(name)
    body = introspection(shared_server, clients.mighty, pair["access_token"], token_type_hint="x")
    assert (body["active"], body["username"], body["token_type"], body["plan"]) == (True, name, "Bearer", {})
    body = introspection(shared_server, clients.mighty, pair["refresh_token"])
    assert set(body) == {"active", "client_id", "sub", "username", "scope", "iss", "aud", "exp", "sid"}
    assert (body["client_id"], body["username"], body["aud"]) == (FIRST_PARTY, name, shared_server.url)


# MARK: Too much


@at_every_endpoint
def test_a_body_over_64_kib_is_413(shared_server, clients, path):
    body = urllib.parse.urlencode(LEAST[path] | {"padding": "x" * 65536}).encode()
    for data in [body, iter([body[:40_000], body[40_000:]])]:
        assert_refused(post(shared_server, path, data, auth=clients.plain.basic), 413, "invalid_request")


PARAMETERS = {
    TOKEN: [*REPEATED[TOKEN], "resource", "audience", "unknown"], REVOKE: [*REPEATED[REVOKE], "client_assertion"],
    INTROSPECT: [*REPEATED[INTROSPECT], "client_id"],
}
#: Of three classes, out of order: a normal form has to sort them.
MARKS = "\u0315\u0300\u0327"


@pytest.mark.parametrize("path, name", [(path, name) for path, names in PARAMETERS.items() for name in names])
def test_combining_marks_are_answered_in_under_a_second(shared_server, clients, pair, path, name):
    exchanging = {"grant_type": EXCHANGE, "subject_token": pair["access_token"], "subject_token_type": ACCESS_TOKEN}
    auth = None if name in ["client_id", "client_secret", "client_assertion"] else clients.mighty.basic
    good = (exchanging if path == TOKEN else LEAST[path]) | {"client_id": clients.plain.id if auth is None else None}
    encoded, raw = urllib.parse.quote(MARKS * 3300), MARKS.encode() * 10_000
    begin = urllib.parse.urlencode({key: value for key, value in good.items() if key != name and value})
    for body in [
            f"{begin}&{name}=a{encoded}".encode(), f"{begin}&{name}a{encoded}=a".encode(),
            f"{begin}&{name}=".encode() + raw, f"{begin}&{name}=a{encoded}{encoded}".encode()]:
        began = time.monotonic()
        response = post(shared_server, path, body, auth=auth)
        assert time.monotonic() - began < 1
        assert response.status_code in [200, 400, 401, 413], response.text


@at_every_endpoint
def test_combining_marks_in_the_header_are_answered_in_under_a_second(shared_server, clients, path):
    for text in [f"{MARKS * 500}:x", f"{clients.plain.id}:{MARKS * 500}", MARKS * 600]:
        for part in [text, urllib.parse.quote(text, safe=":")]:
            began = time.monotonic()
            response = with_header(shared_server, basic(part), path)
            assert time.monotonic() - began < 1
            assert response.status_code in [400, 401, 431]


def test_the_service_is_well_after_all_this(shared_server, clients):
    assert answered(shared_server.get("/health/ready")) == {"status": "ready"}
    assert me_accepts(shared_server, token(shared_server, clients.plain))
