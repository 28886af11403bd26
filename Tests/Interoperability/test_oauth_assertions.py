"""How a client with a key authenticates (RFC 7523, section 3), and every assertion that isn't accepted."""

import hmac
import json
import time
import types
import uuid

import pytest
import tokens
from oauth import (
    ASSERTION_TYPE, ENDPOINTS, FIRST_PARTY, INTROSPECT, LEAST, REVOKE, TOKEN, Client, KeyClient, ask,
    assert_unauthenticated, granted, is_accepted, new_key, token)
from service import Installation, at_once


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    installation = Installation(tmp_path_factory.mktemp("service"), algorithms="ES256", clock_leeway="1s")
    yield installation.serve()
    installation.close()


@pytest.fixture(scope="module")
def clients(shared_server):
    installation = shared_server.installation
    return types.SimpleNamespace(
        issuer=shared_server.url, key=KeyClient(installation, "key", "--may", "introspect"),
        rsa=KeyClient(installation, "rsa", algorithm="RS256"), plain=Client(installation, "plain"))


#: Changes to the claims that make an assertion worthless, at a time.
WORTHLESS = {
    "no issuer": lambda c: {"iss": None}, "another issuer": lambda c: {"iss": "somebody"},
    "no subject": lambda c: {"sub": None}, "another subject": lambda c: {"sub": c.plain.id},
    "another client": lambda c: {"iss": c.rsa.id, "sub": c.rsa.id}, "a subject that is no text": lambda c: {"sub": 1},
    "the public client": lambda c: {"iss": FIRST_PARTY, "sub": FIRST_PARTY},
    "no audience": lambda c: {"aud": None}, "a list as audience": lambda c: {"aud": [c.issuer + TOKEN]},
    "a list with the issuer": lambda c: {"aud": [c.issuer, "https://other.example"]},
    "an empty list as audience": lambda c: {"aud": []}, "a list of the issuer": lambda c: {"aud": [c.issuer]},
    "the revocation endpoint as audience": lambda c: {"aud": c.issuer + REVOKE},
    "the introspection endpoint as audience": lambda c: {"aud": c.issuer + INTROSPECT},
    "a page as audience": lambda c: {"aud": c.issuer + "/auth/log-in"},
    "a slash more": lambda c: {"aud": c.issuer + "/"}, "two slashes": lambda c: {"aud": c.issuer + "/" + TOKEN},
    "another server as audience": lambda c: {"aud": "https://other.example" + TOKEN},
    "no expiry": lambda c: {"exp": None}, "an expiry in the past": lambda c: {"exp": int(time.time()) - 10},
    "an expiry far in the future": lambda c: {"exp": int(time.time()) + 3700},
    "an expiry as text": lambda c: {"exp": str(int(time.time()) + 60)},
    "an expiry beyond all": lambda c: {"exp": 1e308}, "a huge negative expiry": lambda c: {"exp": -1e308},
    "not yet": lambda c: {"nbf": int(time.time()) + 30}, "issued tomorrow": lambda c: {"iat": int(time.time()) + 86400},
    "no jti": lambda c: {"jti": None}, "a jti that is no text": lambda c: {"jti": 5},
}


@pytest.mark.parametrize("how", WORTHLESS)
def test_rfc7523_3_an_assertion_with_wrong_claims_is_refused(shared_server, clients, how):
    for path in ENDPOINTS:
        fields = clients.key.fields(shared_server, **WORTHLESS[how](clients))
        assert_unauthenticated(ask(shared_server, path, **LEAST[path], **fields))


@pytest.mark.parametrize(
    "header, claims",
    [
        ({"typ": None}, {}), ({"typ": "JWT"}, {}), ({"typ": "client-authentication+jwt"}, {}), ({"kid": "any"}, {}),
        ({}, {"aud": "issuer"}), ({}, {"exp": 3590}), ({}, {"iat": 0, "nbf": 0}), ({}, {"more": {"a": [1]}}),
    ])
def test_rfc7523_3_a_good_assertion_is_taken_at_every_endpoint(shared_server, clients, header, claims):
    for path in ENDPOINTS:
        shifted = {name: int(time.time()) + value for name, value in claims.items() if name in ["exp", "iat", "nbf"]}
        if "aud" in claims:
            shifted["aud"] = shared_server.url
        fields = clients.key.fields(shared_server, header=header, **(claims | shifted))
        assert ask(shared_server, path, **LEAST[path], **fields, client_id=clients.key.id).status_code == 200


def by_hand(header, payload, secret):
    start = ".".join(tokens.encode(json.dumps(part).encode()) for part in [header, payload])
    return f"{start}.{tokens.encode(hmac.digest(secret, start.encode(), 'sha256'))}"


def deep(depth):
    return b'{"a":' * depth + b"1" + b"}" * depth


def forged(server, clients):
    """Assertions that nobody may accept, by what is wrong with them."""
    key, stranger = clients.key, new_key("ES256")
    claims = key.claims(server)
    good, public = key.assertion(server), key.key
    head, body, signature = good.split(".")
    start = json.dumps(claims).encode()[:-1]
    twice = start + b',"sub":"%s"}' % clients.rsa.id.encode()
    cases = {
        "alg none": by_hand({"alg": "none"}, claims, b"").rsplit(".", 1)[0] + ".",
        "a stranger's key": key.assertion(server, key=stranger),
        "a key in the header": key.assertion(server, key=stranger, header={"jwk": stranger.as_dict(private=False)}),
        "the key of another client": key.assertion(server, key=clients.rsa.key, algorithm="RS256"),
        "an unknown crit": key.assertion(server, header={"crit": ["x"], "x": 1}),
        "an access token's type": key.assertion(server, header={"typ": "at+jwt"}),
        "another type": key.assertion(server, header={"typ": "statuslist+jwt"}),
        "no signature": f"{head}.{body}.", "a changed signature": f"{head}.{body}.{tokens.changed(signature)}",
        "changed claims": tokens.with_claims(good, exp=tokens.claims(good)["exp"] + 1), "one part": head, "a dot": ".",
        "two dots": "..",
        "an access token": token(server, clients.plain), "sub twice": key.assertion(server, payload=twice),
        "claims that are deep": key.assertion(server, payload=start + b',"d":' + deep(500) + b"}"),
        "a list": key.assertion(server, payload=json.dumps([claims]).encode()),
        "no claims": key.assertion(server, payload=b""), "over 16 KiB": key.assertion(server, padding="x" * 14_000),
        "50 KB": key.assertion(server, padding="x" * 35_000), "an e acute": "\u00e9.\u00e9.\u00e9",
    }
    for name, secret in [
            ("PEM", public.as_pem(private=False)), ("DER", public.as_der(private=False)),
            ("x", tokens.decode(public.as_dict()["x"])), ("JWK", json.dumps(public.as_dict(private=False)).encode()),
            ("nothing", b"")]:
        for header in [{"alg": "HS256", "typ": "JWT"}, {"alg": "ES256"}]:
            cases[f"{header['alg']} as HMAC with the public key: {name}"] = by_hand(header, claims, secret)
    return cases


def test_rfc7523_3_an_assertion_that_the_client_didn_t_sign_as_it_has_to_is_refused(shared_server, clients):
    for how, assertion in forged(shared_server, clients).items():
        fields = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
        for more in [{}, {"client_id": clients.key.id}]:
            response = ask(shared_server, TOKEN, **LEAST[TOKEN], **fields, **more)
            assert response.status_code == 401, f"{how}: {response.text}"
            assert_unauthenticated(response)
    assert is_accepted(shared_server, clients.key)


def test_rfc7521_4_2_an_assertion_comes_with_its_type_and_its_client(shared_server, clients):
    assertion = clients.key.assertion(shared_server)
    for type in ["urn:ietf:params:oauth:client-assertion-type:saml2-bearer", "jwt-bearer", ASSERTION_TYPE.upper()]:
        fields = {"client_assertion": assertion, "client_assertion_type": type}
        assert_unauthenticated(ask(shared_server, TOKEN, **LEAST[TOKEN], **fields))
    good = {"client_assertion": assertion, "client_assertion_type": ASSERTION_TYPE}
    for id in [clients.plain.id, clients.rsa.id, FIRST_PARTY, "x"]:
        assert_unauthenticated(ask(shared_server, TOKEN, **LEAST[TOKEN], **good, client_id=id))
    for half in good:
        response = ask(shared_server, TOKEN, **LEAST[TOKEN], **{half: good[half]})
        assert response.status_code in [400, 401] and "access_token" not in response.text
    claims = clients.key.claims(shared_server, iss=clients.plain.id, sub=clients.plain.id)
    assertion = by_hand({"alg": "HS256"}, claims, clients.plain.secret.encode())
    assert_unauthenticated(ask(shared_server, TOKEN, **LEAST[TOKEN], **good | {"client_assertion": assertion}))


def test_rfc7523_3_a_jti_is_good_for_one_request_of_one_client(shared_server, clients):
    jti = str(uuid.uuid4())
    fields = clients.key.fields(shared_server, jti=jti)
    granted(ask(shared_server, TOKEN, **LEAST[TOKEN], **fields))
    for path in ENDPOINTS:
        assert_unauthenticated(ask(shared_server, path, **LEAST[path], **fields))
        again = clients.key.fields(shared_server, jti=jti, exp=int(time.time()) + 1000)
        assert_unauthenticated(ask(shared_server, path, **LEAST[path], **again))
    granted(ask(shared_server, TOKEN, **LEAST[TOKEN], **clients.rsa.fields(shared_server, jti=jti)))
    fields = clients.key.fields(shared_server)
    responses = at_once(*[lambda: ask(shared_server, TOKEN, **LEAST[TOKEN], **fields)] * 8)
    assert sorted(response.status_code for response in responses) == [200] + [401] * 7


def test_rfc7523_3_a_jti_is_used_once_at_all_nodes_and_after_a_restart(make_installation):
    installation = make_installation(algorithms="ES256", issuer="https://id.example")
    client = KeyClient(installation, "key")
    first, second = installation.serve(), installation.serve()
    fields = client.fields(first)
    granted(ask(first, TOKEN, **LEAST[TOKEN], **fields))
    assert_unauthenticated(ask(second, TOKEN, **LEAST[TOKEN], **fields))
    first.kill()
    assert_unauthenticated(ask(installation.serve(), TOKEN, **LEAST[TOKEN], **fields))
    granted(ask(second, TOKEN, client, **LEAST[TOKEN]))


@pytest.mark.parametrize("claim", ["iss", "sub", "aud", "jti", "exp", "more"])
def test_an_assertion_full_of_combining_marks_is_answered_in_under_a_second(shared_server, clients, claim):
    marks = "a" + "\u0315\u0300\u0327" * 1800
    for text in [json.dumps(marks), json.dumps(marks[:700]), json.dumps(marks, ensure_ascii=False)]:
        claims = json.dumps(clients.key.claims(shared_server, **{claim: None}))
        payload = f'{claims[:-1]},"{claim}":{text}}}'.encode()
        began = time.monotonic()
        response = ask(shared_server, TOKEN, **LEAST[TOKEN], **clients.key.fields(shared_server, payload=payload))
        assert time.monotonic() - began < 1
        assert response.status_code == 401 or claim in ["jti", "more"]
