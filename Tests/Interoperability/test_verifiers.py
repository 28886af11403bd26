"""Verifiers that nobody here wrote know only the JWKS URL, and follow every rotation."""

import base64
import hashlib
import hmac
import json
import subprocess
import threading
import time

import pytest
import requests
import tokens
from joserfc.jwk import KeySet
from service import QUICK_ROTATION, answered, eventually
from verifiers import ALGORITHMS, VERIFIERS

ORDERS = ["ES256,RS256", "RS256,ES256"]


# MARK: One rotation


@pytest.mark.parametrize("verifier", VERIFIERS)
@pytest.mark.parametrize("order", ORDERS)
def test_verifies_tokens_before_during_and_after_a_rotation(make_installation, order, verifier):
    """With a JWKS that was kept from before as well as with a fresh one, tokens of all three times are good in all
    times that follow."""
    installation = make_installation(algorithms=order, **QUICK_ROTATION)
    server = installation.serve()
    installation.add_user("anna", "--claim", "premium=true", "--claim", 'plan="gold"')
    algorithm = order.split(",")[0]
    kept = verifier(server.url)
    signed = []

    def log_in_and_verify_all():
        token = server.log_in("anna")["access_token"]
        assert tokens.header(token) == {"alg": algorithm, "kid": tokens.kid(token), "typ": "at+jwt"}
        signed.append(token)
        for each in signed:
            for reader in [kept, verifier(server.url)]:
                claims = reader.verify(each, server.url)
                assert (claims["premium"], claims["plan"], claims["client_id"]) == (True, "gold", "first-party")
        return tokens.kid(token)

    first = log_in_and_verify_all()
    rotated = installation.json("keys", "rotate", "--algorithm", algorithm)
    second = next(key["kid"] for key in rotated if key["state"] == "pending")
    eventually(lambda: second in server.published_kids(), within=2)
    assert log_in_and_verify_all() == first, "a key signs before its time"

    seen_while_pending = verifier(server.url, keep_for=300)
    eventually(lambda: tokens.kid(server.log_in("anna")["access_token"]) == second)
    assert log_in_and_verify_all() == second
    assert seen_while_pending.verify(signed[-1], server.url)["premium"] is True
    assert {first, second} <= server.published_kids()


@pytest.mark.parametrize("verifier", VERIFIERS)
@pytest.mark.parametrize("order", ORDERS)
def test_refuses_a_tampered_token(make_installation, order, verifier):
    installation = make_installation(algorithms=order)
    server = installation.serve()
    installation.add_user("anna")
    token = server.log_in("anna")["access_token"]
    reader = verifier(server.url)
    reader.verify(token, server.url)
    for how, spoilt in tampered_tokens(server, token).items():
        try:
            reader.verify(spoilt, server.url)
        except Exception:
            pass
        else:
            pytest.fail(f"{verifier.__name__} takes a token with {how}")
        refusal = server.get("/auth/me", token=spoilt)
        assert refusal.status_code == 401, f"the service itself takes a token with {how}"
        assert refusal.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')


def tampered_tokens(server, token):
    kid = tokens.kid(token)
    public_key = next(key for key in server.jwks()["keys"] if key["kid"] == kid)
    first = tokens.with_header(token, alg="HS256").split(".")[0]
    content = f"{first}.{token.split('.')[1]}"
    secret = base64.urlsafe_b64decode(public_key.get("n", public_key.get("x")) + "==")
    code = hmac.new(secret, content.encode(), hashlib.sha256).digest()
    other = next(key["kid"] for key in server.jwks()["keys"] if key["kid"] != kid)
    return tokens.tampered(token) | {
        "an HMAC under the public key": f"{content}.{tokens.encode(code)}",
        "the kid of another key": tokens.with_header(token, kid=other),
        "a kid that nobody published": tokens.with_header(token, kid="unknown"),
    }


# MARK: Every moment of many rotations


def test_every_token_is_known_to_every_verifier_while_keys_rotate(make_installation):
    """Log-ins and refreshes go on without a pause through automatic rotations and one by hand. None is refused, and
    every token names a key of every JWKS that a verifier may hold then: one fetched up to jwks-max-age ago, and any
    fetched later."""
    maximum_age, leeway = 1.0, 1.0
    installation = make_installation(algorithms="ES256", rotate_every="4s", **QUICK_ROTATION)
    server = installation.serve()
    for name in ["anna", "bert", "carl"]:
        installation.add_user(name)
    stop = threading.Event()
    signed, fetched, problems = [], [], []
    lock = threading.Lock()

    def repeat(action):
        def run():
            try:
                with requests.Session() as session:
                    session.trust_env = False
                    state = None
                    while not stop.is_set():
                        state = action(session, state)
            except Exception as error:
                problems.append(error)
                stop.set()

        return threading.Thread(target=run)

    def record(pair, asked_at):
        with lock:
            signed.append((asked_at, time.monotonic(), tokens.kid(pair["access_token"])))
        return pair

    def log_in(session, _):
        asked_at = time.monotonic()
        body = {"username": "anna", "password": "correct horse battery staple"}
        record(answered(session.post(server.url + "/auth/log-in", json=body, timeout=30)), asked_at)

    def refresh_as(name):
        def refresh(session, pair):
            pair = pair or server.log_in(name)
            asked_at = time.monotonic()
            body = {"refresh_token": pair["refresh_token"]}
            return record(answered(session.post(server.url + "/auth/refresh", json=body, timeout=30)), asked_at)

        return refresh

    def fetch(session, _):
        asked_at = time.monotonic()
        keys = answered(session.get(server.url + "/.well-known/jwks.json", timeout=30))["keys"]
        fetched.append((asked_at, time.monotonic(), {key["kid"] for key in keys}))
        time.sleep(0.01)

    workers = [repeat(action) for action in [log_in, refresh_as("bert"), refresh_as("carl"), fetch]]
    for worker in workers:
        worker.start()
    stop.wait(6)
    installation.run("keys", "rotate")
    stop.wait(8)
    stop.set()
    for worker in workers:
        worker.join()

    assert problems == []
    assert len({kid for _, _, kid in signed}) >= 4, "too few keys signed to show anything"
    for asked_at, answered_at, kid in signed:
        earliest = answered_at - maximum_age - leeway
        for fetch_asked_at, _, kids in fetched:
            if fetch_asked_at >= earliest:
                assert kid in kids, f"signed between {asked_at} and {answered_at}, missing at {fetch_asked_at}"


# MARK: What is published


@pytest.fixture(scope="module")
def jwks_response(shared_server):
    return shared_server.get("/.well-known/jwks.json")


def test_the_jwks_holds_public_members_only(jwks_response):
    for key in answered(jwks_response)["keys"]:
        members = {"EC": {"crv", "x", "y"}, "RSA": {"n", "e"}}[key["kty"]]
        assert set(key) == members | {"kty", "kid", "alg", "use"}
        assert key["use"] == "sig"


def test_a_kid_is_the_thumbprint_for_other_libraries(jwks_response):
    keys = answered(jwks_response)["keys"]
    assert {key["alg"] for key in keys} == set(ALGORITHMS)
    for key in keys:
        bare = {name: value for name, value in key.items() if name != "kid"}
        assert next(iter(KeySet.import_key_set({"keys": [bare]}).keys)).thumbprint() == key["kid"]
        command = subprocess.run(
            ["jose", "jwk", "thp", "-a", "S256", "-i", "-"], input=json.dumps(bare).encode(), capture_output=True,
            check=True, timeout=30)
        assert command.stdout.decode().strip() == key["kid"]


def test_the_jwks_can_be_cached_and_asked_for_again(shared_server, jwks_response):
    assert jwks_response.headers["Cache-Control"] == "public, max-age=300"
    assert jwks_response.headers["Access-Control-Allow-Origin"] == "*"
    tag = jwks_response.headers["ETag"]
    assert tag.startswith('"') and tag.endswith('"')
    for field in [tag, f'"other", {tag}', "*", f"W/{tag}"]:
        again = shared_server.get("/.well-known/jwks.json", headers={"If-None-Match": field})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag), field
    changed = shared_server.get("/.well-known/jwks.json", headers={"If-None-Match": '"other"'})
    assert (changed.status_code, changed.content) == (200, jwks_response.content)


def test_the_jwks_answers_head_as_get_without_a_body(shared_server, jwks_response):
    head = shared_server.request("HEAD", "/.well-known/jwks.json")
    assert (head.status_code, head.content) == (200, b"")
    for name in ["ETag", "Cache-Control", "Content-Type", "Content-Length"]:
        assert head.headers[name] == jwks_response.headers[name]


@pytest.mark.parametrize("name", ["oauth-authorization-server", "openid-configuration"])
def test_the_metadata_leads_to_the_jwks(shared_server, jwks_response, name):
    metadata = answered(shared_server.get(f"/.well-known/{name}"))
    assert metadata["issuer"] == shared_server.url
    assert requests.get(metadata["jwks_uri"], timeout=30).content == jwks_response.content


# MARK: The end of a key


def test_a_token_stays_good_until_it_expires_and_its_key_leaves_after_that(old_token):
    """Watched once a second while other tests run. The key outlasts its last token by the leeway and the time until
    every server has heard of its end."""
    eventually(lambda: old_token.is_over, within=90)
    expiry = tokens.claims(old_token.token)["exp"]
    during = [seen for seen in old_token.seen if seen.until < expiry]
    assert len(during) > 30
    for seen in during:
        assert (seen.is_published, seen.fresh, seen.kept) == (True, "good", "good")
    last = old_token.seen[-1]
    assert not last.is_published and expiry <= last.since < expiry + 15
    assert last.kept == "ExpiredSignatureError"
    assert old_token.server.get("/auth/me", token=old_token.token).status_code == 401
