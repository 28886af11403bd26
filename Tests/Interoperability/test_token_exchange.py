"""Token exchange (RFC 8693): a user's token on its way through three services, and what such tokens can't do."""

import time
import types

import jwt
import pytest
import tokens
from machine_clients import BAR, STATUS_TTL
from oauth import (
    ACCESS_TOKEN, FIRST_PARTY, JWT, TOKEN, Client, KeyClient, ask, assert_refused, assert_unauthenticated, exchange,
    exchanged, granted, introspection, revoke, token)
from service import PASSWORD, Installation, answered, assert_error, at_once, eventually
from status_lists import CachingVerifier, me_accepts, reference, says_ended

ORDERS, STOCK, LEDGER = ("https://orders.example", "https://stock.example", "https://ledger.example")


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    installation = Installation(
        tmp_path_factory.mktemp("service"), algorithms="ES256", status_ttl=f"{STATUS_TTL}s", access_token_lifetime="1m",
        refresh_grace="0s")
    yield installation.serve()
    installation.close()


@pytest.fixture(scope="module")
def services(shared_server):
    """A gateway that passes requests on to orders, which passes them on to stock."""

    def service(name, *arguments, kind=Client, scopes=("read", "write")):
        scopes = [f"--scope={scope}" for scope in scopes]
        return kind(shared_server.installation, name, *scopes, *arguments, "--may", "exchange")

    return types.SimpleNamespace(
        gateway=service("gateway", "--audience", ORDERS, "--audience", STOCK),
        orders=service("orders", "--audience", STOCK, kind=KeyClient),
        stock=service("stock", "--audience", LEDGER, "--access-token-lifetime", "10s", scopes=["read"]),
        loop=service("loop"), worker=Client(shared_server.installation, "worker", "--scope", "read"),
        auditor=Client(shared_server.installation, "auditor", "--may", "introspect", "--may", "revoke"))


@pytest.fixture
def name(new_user):
    return new_user("--scope", "read", "--scope", "write", "--scope", "admin", "--claim", 'plan="gold"')


@pytest.fixture
def pair(shared_server, name):
    return shared_server.log_in(name)


# MARK: Through three services


def test_a_chain_of_three_services_keeps_who_it_is_about_and_who_acted(shared_server, services, name):
    user = shared_server.log_in(name)["access_token"]
    first = exchanged(shared_server, services.gateway, user)
    second = exchanged(shared_server, services.orders, first, scope="read write")
    third = exchanged(shared_server, services.stock, second)
    original, *others = [tokens.claims(each) for each in [user, first, second, third]]
    assert [claims["aud"] for claims in others] == [ORDERS, STOCK, LEDGER]
    assert [claims["scope"] for claims in others] == ["read write", "read write", "read"]
    clients = [services.gateway, services.orders, services.stock]
    assert [claims["client_id"] for claims in others] == [client.id for client in clients]
    act = None
    for claims in others:
        for claim in ["iss", "sub", "sid", "status", "plan"]:
            assert claims[claim] == original[claim]
        act = {"sub": claims["client_id"]} | ({"act": act} if act else {})
        assert claims["act"] == act
        assert claims["exp"] <= original["exp"]
    assert len({claims["jti"] for claims in [original, *others]}) == 4
    for each in [first, second, third]:
        assert tokens.header(each)["typ"] == "at+jwt"


def test_a_verifier_takes_an_exchanged_token_for_its_audience_only(shared_server, services, pair):
    swapped = exchanged(shared_server, services.gateway, pair["access_token"])
    key = jwt.PyJWKClient(shared_server.url + "/.well-known/jwks.json").get_signing_key_from_jwt(swapped)
    options = {"algorithms": ["ES256"], "issuer": shared_server.url, "options": {"require": ["exp", "jti", "sub"]}}
    assert jwt.decode(swapped, key, audience=ORDERS, **options) == tokens.claims(swapped)
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(swapped, key, audience=shared_server.url, **options)
    assert not me_accepts(shared_server, swapped)


@pytest.mark.parametrize("name_of_it", ["resource", "audience"])
def test_a_client_asks_for_another_of_its_audiences(shared_server, services, pair, name_of_it):
    def audience(*targets):
        swapped = exchanged(shared_server, services.gateway, pair["access_token"], **{name_of_it: list(targets)})
        return tokens.claims(swapped)["aud"]

    assert audience(STOCK) == STOCK
    assert set(audience(ORDERS, STOCK)) == {ORDERS, STOCK}
    response = exchange(shared_server, services.orders, pair["access_token"], **{name_of_it: ORDERS})
    assert_refused(response, 400, "invalid_target")


def test_a_scope_is_never_more_than_the_user_s_and_the_client_s(shared_server, services, new_user):
    narrow = shared_server.log_in(new_user("--scope", "read"))["access_token"]
    assert tokens.claims(exchanged(shared_server, services.gateway, narrow))["scope"] == "read"
    assert_refused(exchange(shared_server, services.gateway, narrow, scope="write"), 400, "invalid_scope")
    admin = shared_server.log_in(new_user("--scope", "admin"))["access_token"]
    assert "scope" not in tokens.claims(exchanged(shared_server, services.gateway, admin))
    assert_refused(exchange(shared_server, services.gateway, admin, scope="admin"), 400, "invalid_scope")


def test_a_scope_once_dropped_doesn_t_come_back(shared_server, services, pair):
    narrow = exchanged(shared_server, services.gateway, pair["access_token"], scope="read")
    assert_refused(exchange(shared_server, services.orders, narrow, scope="read write"), 400, "invalid_scope")
    assert tokens.claims(exchanged(shared_server, services.orders, narrow))["scope"] == "read"


def test_a_chain_ends_after_eight_services(shared_server, services, pair):
    text = pair["access_token"]
    for _ in range(8):
        text = exchanged(shared_server, services.loop, text)
    depth, act = 0, tokens.claims(text)
    while act := act.get("act"):
        depth += 1
    assert depth == 8
    assert_refused(exchange(shared_server, services.loop, text), 400, "invalid_request")


# MARK: How long


def test_an_exchanged_token_never_outlives_the_original(shared_server, services, pair):
    original = tokens.claims(pair["access_token"])
    time.sleep(max(0, original["iat"] + 1.1 - time.time()))
    text = pair["access_token"]
    for client in [services.gateway, services.orders, services.loop]:
        text = exchanged(shared_server, client, text)
        claims = tokens.claims(text)
        assert claims["exp"] == original["exp"]
        assert claims["exp"] - claims["iat"] < 60
    body = answered(exchange(shared_server, services.stock, text))
    claims = tokens.claims(body["access_token"])
    assert claims["exp"] - claims["iat"] == body["expires_in"] == 10


def test_what_has_expired_is_exchanged_no_more_whatever_the_leeway(shared_server, services):
    """Verifiers take it for as long as clocks may differ."""
    brief = Client(shared_server.installation, "brief", "--access-token-lifetime", "1s", "--scope", "read")
    text = token(shared_server, brief)
    time.sleep(max(0, tokens.claims(text)["exp"] + 0.1 - time.time()))
    assert me_accepts(shared_server, text)
    assert_refused(exchange(shared_server, services.gateway, text), 400, "invalid_request")
    assert introspection(shared_server, services.auditor, text) == {"active": False}


# MARK: Who acts


def test_a_machine_s_token_is_exchanged_under_the_machine_s_bit(shared_server, services):
    original = token(shared_server, services.worker)
    swapped = exchanged(shared_server, services.gateway, original)
    claims = tokens.claims(swapped)
    assert (claims["sub"], claims["client_id"]) == (services.worker.id, services.gateway.id)
    assert claims["act"] == {"sub": services.gateway.id} and "sid" not in claims
    assert reference(swapped) == reference(original)
    revoke(shared_server, services.worker, original)
    assert introspection(shared_server, services.auditor, swapped) == {"active": False}
    eventually(lambda: says_ended(shared_server, swapped), within=BAR)


def test_an_actor_token_is_one_of_the_client_s_own(shared_server, services, pair):
    own = token(shared_server, services.gateway)
    swapped = exchanged(
        shared_server, services.gateway, pair["access_token"], actor_token=own, actor_token_type=ACCESS_TOKEN)
    assert tokens.claims(swapped)["act"] == {"sub": services.gateway.id}
    for client in [services.orders, services.worker, services.loop]:
        response = exchange(
            shared_server, services.gateway, pair["access_token"], actor_token=token(shared_server, client),
            actor_token_type=ACCESS_TOKEN)
        assert_refused(response, 400, "invalid_request")
    revoke(shared_server, services.gateway, own)
    response = exchange(
        shared_server, services.gateway, pair["access_token"], actor_token=own, actor_token_type=ACCESS_TOKEN)
    assert_refused(response, 400, "invalid_request")


def test_introspection_tells_who_acts_for_whom(shared_server, services, name):
    swapped = exchanged(shared_server, services.gateway, shared_server.log_in(name)["access_token"])
    body = introspection(shared_server, services.auditor, swapped)
    assert body == tokens.claims(swapped) | {"active": True, "token_type": "Bearer", "username": name}


# MARK: The end of the session


ENDINGS = {
    "a log-out": lambda server, services, pair: server.post("/auth/log-out", token=pair["access_token"]),
    "a revocation": lambda server, services, pair: revoke(server, services.auditor, pair["refresh_token"]),
    "a reuse": lambda server, services, pair: server.refuses(pair["used"]),
    "a command": lambda server, services, pair: server.installation.run(
        "sessions", "revoke", "--", tokens.claims(pair["access_token"])["sid"]),
}


@pytest.fixture(scope="module")
def endings(shared_server, services):
    """After how many seconds whoever keeps status lists refused the tokens of a chain, by how the session ended."""

    def run(how):
        user = f"ended-by-{list(ENDINGS).index(how)}"
        shared_server.installation.add_user(user, "--scope", "read")
        first = shared_server.log_in(user)
        pair = shared_server.refresh(first["refresh_token"]) | {"used": first["refresh_token"]}
        chain = [exchanged(shared_server, services.gateway, pair["access_token"])]
        chain.append(exchanged(shared_server, services.orders, chain[0]))
        verifier = CachingVerifier(shared_server)
        assert not any(verifier.refuses(each) for each in chain)
        ENDINGS[how](shared_server, services, pair)
        began = time.monotonic()
        answers = [introspection(shared_server, services.auditor, each) for each in chain]
        refusals = [exchange(shared_server, services.loop, each) for each in [*chain, pair["access_token"]]]
        while not all(verifier.refuses(each) for each in chain) and time.monotonic() < began + BAR + 1:
            time.sleep(0.05)
        return time.monotonic() - began, answers, refusals

    return dict(zip(ENDINGS, at_once(*[lambda how=how: run(how) for how in ENDINGS])))


@pytest.mark.parametrize("how", ENDINGS)
def test_exchanged_tokens_end_with_the_session(endings, how):
    refused_after, answers, refusals = endings[how]
    assert refused_after <= BAR
    assert answers == [{"active": False}] * 2
    if how != "a command":
        # A server sees within 2 s what a command did.
        for response in refusals:
            assert_refused(response, 400, "invalid_request")


def test_a_refresh_leaves_exchanged_tokens_alone(shared_server, services, pair):
    swapped = exchanged(shared_server, services.gateway, pair["access_token"])
    shared_server.refresh(pair["refresh_token"])
    assert introspection(shared_server, services.auditor, swapped)["active"]


# MARK: What it can't do


OWN_CALLS = [
    ("GET", "/auth/sessions", None), ("DELETE", "/auth/sessions/{sid}", None), ("POST", "/auth/log-out", None),
    ("POST", "/auth/log-out-everywhere", None),
    ("POST", "/auth/password", {"current": PASSWORD, "new": "a new password"}),
]


@pytest.mark.parametrize("method, path, body", OWN_CALLS)
def test_an_exchanged_token_isn_t_the_user_s_own(shared_server, services, name, method, path, body):
    """Also where it is for this service; and a machine's token is nobody's."""
    pair, other = shared_server.log_in(name), shared_server.log_in(name)
    path = path.format(sid=tokens.claims(other["access_token"])["sid"])
    for text in [
            exchanged(shared_server, services.loop, pair["access_token"]), token(shared_server, services.loop),
            exchanged(shared_server, services.loop, token(shared_server, services.worker))]:
        assert me_accepts(shared_server, text)
        for headers in [{"Authorization": f"Bearer {text}"}, {"Cookie": f"access_token={text}"}]:
            response = shared_server.request(method, path, json=body, headers=headers)
            assert_error(response, 401, "invalid_token")
    for each in [pair, other]:
        assert me_accepts(shared_server, each["access_token"])
        shared_server.refresh(each["refresh_token"])
    shared_server.log_in(name)


def test_an_exchange_gives_no_refresh_token(shared_server, services, pair):
    assert "refresh_token" not in granted(exchange(shared_server, services.gateway, pair["access_token"]))
    response = ask(
        shared_server, TOKEN, grant_type="refresh_token",
        refresh_token=exchanged(shared_server, services.gateway, pair["access_token"]))
    assert_refused(response, 400, "invalid_grant")


# MARK: What is refused


def test_rfc8693_2_2_2_who_may_not_exchange_is_unauthorized(shared_server, services, pair):
    assert_refused(exchange(shared_server, services.worker, pair["access_token"]), 400, "unauthorized_client")
    assert_unauthenticated(exchange(shared_server, None, pair["access_token"]))
    response = exchange(shared_server, None, pair["access_token"], client_id=FIRST_PARTY)
    assert_refused(response, 400, "unauthorized_client")


ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
INVALID = {
    "no subject": {"subject_token": None}, "no subject type": {"subject_token_type": None},
    "neither": {"subject_token": None, "subject_token_type": None}, "an id token": {"subject_token_type": ID_TOKEN},
    "a refresh token's type": {"subject_token_type": ACCESS_TOKEN.replace("access", "refresh")},
    "a short type": {"subject_token_type": "access_token"}, "an id token asked for": {"requested_token_type": ID_TOKEN},
    "a SAML assertion asked for": {"requested_token_type": ACCESS_TOKEN.replace("access_token", "saml2")},
    "an actor's type alone": {"actor_token_type": ACCESS_TOKEN}, "an actor without type": {"actor_token": "own"},
    "an actor of another type": {"actor_token": "own", "actor_token_type": ID_TOKEN},
    "a user as actor": {"actor_token": "user", "actor_token_type": ACCESS_TOKEN},
    "a refresh token as actor": {"actor_token": "refresh", "actor_token_type": ACCESS_TOKEN},
    "an exchanged token as actor": {"actor_token": "exchanged", "actor_token_type": ACCESS_TOKEN},
}


@pytest.mark.parametrize("how", INVALID)
def test_rfc8693_2_1_what_is_missing_unknown_or_invalid_is_an_invalid_request(shared_server, services, pair, how):
    actors = {
        "own": token(shared_server, services.gateway), "user": pair["access_token"], "refresh": pair["refresh_token"],
        "exchanged": exchanged(shared_server, services.gateway, pair["access_token"])}
    fields = dict(INVALID[how])
    if "actor_token" in fields:
        fields["actor_token"] = actors[fields["actor_token"]]
    assert_refused(exchange(shared_server, services.gateway, pair["access_token"], **fields), 400, "invalid_request")


@pytest.mark.parametrize("type", [ACCESS_TOKEN, JWT])
def test_rfc8693_2_1_the_types_that_there_are(shared_server, services, pair, type):
    exchanged(
        shared_server, services.gateway, pair["access_token"], subject_token_type=type, requested_token_type=type,
        actor_token=token(shared_server, services.gateway), actor_token_type=type)
