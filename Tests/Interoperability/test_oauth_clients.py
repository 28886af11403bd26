"""OAuth clients that nobody here wrote, as they are: Authlib, requests-oauthlib, and Go's x/oauth2 from Debian."""

import contextlib
import datetime
import json
import os
import pathlib
import shutil
import subprocess

import oauthlib.oauth2.rfc6749.errors as oauthlib_errors
import pytest
import tokens
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from oauth import (
    ACCESS_TOKEN, ALGORITHMS, ASSERTION_TYPE, EXCHANGE, FIRST_PARTY, INTROSPECT, REVOKE, TOKEN, Client, KeyClient)
from oauthlib.oauth2 import BackendApplicationClient
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session
from service import PATIENCE, Installation, answered, assert_error
from status_lists import me_accepts

# What joserfc says of it; Authlib signs with joserfc.
pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")

WAYS = {
    "client_secret_basic": ("client_secret_basic", None, None),
    "client_secret_post": ("client_secret_post", None, None),
} | {
    f"private_key_jwt, {algorithm} as {form}": ("private_key_jwt", algorithm, form)
    for algorithm in ALGORITHMS for form in ["pem", "jwk"]
}


@pytest.fixture(autouse=True)
def plain_http(monkeypatch):
    """Both libraries refuse it unless they are told."""
    for name in ["AUTHLIB_INSECURE_TRANSPORT", "OAUTHLIB_INSECURE_TRANSPORT"]:
        monkeypatch.setenv(name, "1")


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    installation = Installation(tmp_path_factory.mktemp("service"), algorithms="ES256")
    yield installation.serve()
    installation.close()


class Registered:
    """A client of one kind, and how a library is told what it needs."""

    def __init__(self, server, way):
        self.server = server
        self.method, algorithm, form = WAYS[way]
        arguments = [f"{self.method}-{algorithm}-{form}", "--scope", "read", "--scope", "write", "--may", "introspect"]
        if algorithm:
            self.client = KeyClient(server.installation, *arguments, algorithm=algorithm, form=form)
        else:
            self.client = Client(server.installation, *arguments)
        self.id = self.client.id

    def authlib(self, **options):
        key = self.client.key if self.method == "private_key_jwt" else self.client.secret
        session = AuthlibSession(
            self.id, key, token_endpoint_auth_method=self.method, revocation_endpoint_auth_method=self.method,
            default_timeout=PATIENCE, **options)
        if self.method == "private_key_jwt":
            session.register_client_auth_method(PrivateKeyJWT(self.server.url + TOKEN, alg=self.client.algorithm))
        return session

    def fields(self):
        """What requests-oauthlib is given for the methods that it has no name for."""
        if self.method == "client_secret_post":
            return {"client_secret": self.client.secret}
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": self.client.assertion(self.server)}


@pytest.fixture(scope="module", params=WAYS)
def registered(request, shared_server):
    return Registered(shared_server, request.param)


@pytest.fixture(scope="module")
def exchanger(shared_server):
    return Client(
        shared_server.installation, "exchanger", "--scope", "read", "--audience", "https://api.example",
        "--may", "exchange")


def answers_me(session, server, access_token):
    """Whether a session that a library made is let in with a token; the answer has to be the token's claims."""
    response = session.get(server.url + "/auth/me")
    assert response.request.headers["Authorization"] == f"Bearer {access_token}"
    if response.status_code != 200:
        assert_error(response, 401, "invalid_token")
        return False
    assert answered(response) == tokens.claims(access_token)
    return True


# MARK: Authlib


def test_authlib_fetches_a_token_uses_it_and_revokes_it(registered, shared_server):
    with registered.authlib(scope="read") as session:
        fetched = session.fetch_token(shared_server.url + TOKEN)
        assert fetched.items() >= {"token_type": "Bearer", "scope": "read", "expires_in": 600}.items()
        assert "refresh_token" not in fetched
        claims = tokens.claims(fetched["access_token"])
        assert (claims["sub"], claims["client_id"], claims["scope"]) == (registered.id, registered.id, "read")
        assert answers_me(session, shared_server, fetched["access_token"])

        answer = session.revoke_token(shared_server.url + REVOKE, token_type_hint="access_token")
        assert (answer.status_code, answer.content) == (200, b"")
        assert not answers_me(session, shared_server, fetched["access_token"])
        again = session.fetch_token(shared_server.url + TOKEN)
        assert answers_me(session, shared_server, again["access_token"])


def test_authlib_introspects(registered, shared_server, user):
    pair = shared_server.log_in(user)
    with registered.authlib() as session:
        def answer(token, hint=None):
            return answered(session.introspect_token(shared_server.url + INTROSPECT, token, hint))

        own = session.fetch_token(shared_server.url + TOKEN)["access_token"]
        for token in [own, pair["access_token"]]:
            claims = tokens.claims(token)
            assert answer(token, "access_token").items() >= (claims | {"active": True, "token_type": "Bearer"}).items()
        assert answer(pair["access_token"])["username"] == user
        refresh = answer(pair["refresh_token"], "refresh_token")
        assert (refresh["active"], refresh["client_id"]) == (True, FIRST_PARTY)
        assert answer("no token") == {"active": False}


def public_session(pair, **options):
    return AuthlibSession(
        FIRST_PARTY, token_endpoint_auth_method="none", token=dict(pair), default_timeout=PATIENCE, **options)


def test_authlib_refreshes_a_log_in_as_a_public_client(shared_server, user):
    pair = shared_server.log_in(user)
    with public_session(pair) as session:
        for _ in range(3):
            before = session.token
            after = session.refresh_token(shared_server.url + TOKEN)
            assert after["refresh_token"] != before["refresh_token"]
            assert after["access_token"] != before["access_token"]
            assert answers_me(session, shared_server, after["access_token"])
    assert tokens.claims(after["access_token"])["sid"] == tokens.claims(pair["access_token"])["sid"]


def test_authlib_asks_again_after_an_answer_was_lost(shared_server, user):
    """Within refresh-grace the same refresh token comes again; after that, the session goes on from it."""
    pair = shared_server.log_in(user)
    answers = []
    for _ in range(2):
        with public_session(pair) as session:
            answers.append(session.refresh_token(shared_server.url + TOKEN)["refresh_token"])
    assert answers[0] == answers[1] == shared_server.refresh(pair["refresh_token"])["refresh_token"]
    shared_server.refresh(answers[0])


def test_authlib_refreshes_by_itself_what_is_about_to_expire(shared_server, user):
    pair = shared_server.log_in(user)
    updates = []
    with public_session(
            pair, token_endpoint=shared_server.url + TOKEN, leeway=3600,
            update_token=lambda token, refresh_token=None, access_token=None: updates.append(refresh_token)) as session:
        for _ in range(2):
            assert answered(session.get(shared_server.url + "/auth/me"))
    assert updates[0] == pair["refresh_token"] != updates[1]


def test_authlib_fetches_another_token_by_itself(registered, shared_server):
    with registered.authlib(
            token_endpoint=shared_server.url + TOKEN, grant_type="client_credentials", leeway=3600) as session:
        first = session.fetch_token()["access_token"]
        assert answered(session.get(shared_server.url + "/auth/me"))["jti"] != tokens.claims(first)["jti"]


def test_authlib_exchanges_a_token(exchanger, shared_server, new_user):
    name = new_user("--scope", "read", "--scope", "write")
    subject = tokens.claims(shared_server.log_in(name)["access_token"])
    with AuthlibSession(*exchanger.basic, default_timeout=PATIENCE) as session:
        fetched = session.fetch_token(
            shared_server.url + TOKEN, grant_type=EXCHANGE, subject_token_type=ACCESS_TOKEN,
            subject_token=shared_server.log_in(name)["access_token"], scope="read", resource="https://api.example")
    claims = tokens.claims(fetched["access_token"])
    assert (claims["sub"], claims["aud"], claims["scope"]) == (subject["sub"], "https://api.example", "read")
    assert claims["act"] == {"sub": exchanger.id}


def test_authlib_is_told_what_is_wrong(exchanger, shared_server):
    url = shared_server.url + TOKEN

    def error(session, **options):
        with session, pytest.raises(OAuthError) as raised:
            session.fetch_token(url, **options)
        return raised.value.error

    for method in ["client_secret_basic", "client_secret_post"]:
        wrong = AuthlibSession(exchanger.id, "wrong", token_endpoint_auth_method=method)
        assert error(wrong) == "invalid_client"
    assert error(AuthlibSession(exchanger.id, "x", token_endpoint_auth_method="none")) == "invalid_client"
    assert error(AuthlibSession(FIRST_PARTY)) == "unauthorized_client"
    assert error(AuthlibSession(*exchanger.basic, scope="admin")) == "invalid_scope"
    assert error(AuthlibSession(*exchanger.basic), resource="https://other.example") == "invalid_target"
    assert error(AuthlibSession(*exchanger.basic), grant_type="password", username="a", password="b") == (
        "unsupported_grant_type")


@pytest.mark.parametrize("path", ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"])
def test_authlib_finds_the_endpoints_in_the_metadata(registered, shared_server, path):
    metadata = AuthorizationServerMetadata(answered(shared_server.get(path)))
    # There is no authorization endpoint, so the list of response types, which has to be there, is empty.
    for key in set(metadata.REGISTRY_KEYS) - {"response_types_supported"}:
        getattr(metadata, f"validate_{key}")()
    assert set(metadata["grant_types_supported"]) == {"client_credentials", "refresh_token", EXCHANGE}
    assert registered.method in metadata["token_endpoint_auth_methods_supported"]
    assert "none" in metadata["token_endpoint_auth_methods_supported"]
    for kind in ["token", "revocation", "introspection"]:
        assert set(ALGORITHMS) <= set(metadata[f"{kind}_endpoint_auth_signing_alg_values_supported"])
    for kind in ["revocation", "introspection"]:
        assert set(metadata[f"{kind}_endpoint_auth_methods_supported"]) == {
            "client_secret_basic", "client_secret_post", "private_key_jwt"}
    assert metadata["service_documentation"] == shared_server.url + "/docs"
    with registered.authlib(token_endpoint=metadata["token_endpoint"]) as session:
        token = session.fetch_token()["access_token"]
        assert answered(session.introspect_token(metadata["introspection_endpoint"], token))["active"] is True
        assert session.revoke_token(metadata["revocation_endpoint"], token).status_code == 200
        assert answered(session.introspect_token(metadata["introspection_endpoint"], token)) == {"active": False}


# MARK: requests-oauthlib


def test_requests_oauthlib_fetches_a_token_uses_it_and_revokes_it(registered, shared_server):
    client = BackendApplicationClient(registered.id, scope=["read"])
    is_basic = registered.method == "client_secret_basic"
    auth = HTTPBasicAuth(*registered.client.basic) if is_basic else None
    with OAuth2Session(client=client) as session:
        fields = {} if is_basic else {"include_client_id": True} | registered.fields()
        fetched = session.fetch_token(shared_server.url + TOKEN, timeout=PATIENCE, auth=auth, **fields)
        assert (fetched["token_type"], fetched["scope"], fetched["expires_in"]) == ("Bearer", ["read"], 600)
        assert answers_me(session, shared_server, fetched["access_token"])

        fields = {} if is_basic else {"client_id": registered.id} | registered.fields()
        url, headers, body = client.prepare_token_revocation_request(
            shared_server.url + REVOKE, fetched["access_token"], **fields)
        answer = session.post(url, data=body, headers=headers, withhold_token=True, timeout=PATIENCE, auth=auth)
        assert (answer.status_code, answer.content) == (200, b"")
        assert not answers_me(session, shared_server, fetched["access_token"])


def test_requests_oauthlib_makes_basic_authentication_of_a_secret(exchanger, shared_server):
    with OAuth2Session(client=BackendApplicationClient(exchanger.id)) as session:
        fetched = session.fetch_token(shared_server.url + TOKEN, client_secret=exchanger.secret)
    assert tokens.claims(fetched["access_token"])["aud"] == "https://api.example"


@pytest.mark.parametrize(
    "fields", [{}, {"client_id": FIRST_PARTY}, {"auth": HTTPBasicAuth(FIRST_PARTY, "")}],
    ids=["nobody", "first-party", "first-party as Basic"])
def test_requests_oauthlib_refreshes_a_log_in_without_authentication(shared_server, user, fields):
    pair = shared_server.log_in(user)
    with OAuth2Session(FIRST_PARTY, token=dict(pair)) as session:
        for _ in range(3):
            before = session.token["refresh_token"]
            after = session.refresh_token(shared_server.url + TOKEN, **fields)
            assert after["refresh_token"] != before
            assert answers_me(session, shared_server, after["access_token"])


def test_requests_oauthlib_refreshes_by_itself_what_has_expired(shared_server, user):
    pair = shared_server.log_in(user)
    updates = []
    with OAuth2Session(
            FIRST_PARTY, token=pair | {"expires_in": -1}, auto_refresh_url=shared_server.url + TOKEN,
            token_updater=updates.append) as session:
        assert answered(session.get(shared_server.url + "/auth/me"))["iss"] == shared_server.url
    assert len(updates) == 1 and updates[0]["refresh_token"] != pair["refresh_token"]


def test_requests_oauthlib_refreshes_with_a_narrower_scope(shared_server, new_user):
    pair = shared_server.log_in(new_user("--scope", "read", "--scope", "write"))
    with OAuth2Session(FIRST_PARTY, token=dict(pair), scope=["write"]) as session:
        narrow = session.refresh_token(shared_server.url + TOKEN)
    assert narrow["scope"] == ["write"] and tokens.claims(narrow["access_token"])["scope"] == "write"
    assert shared_server.refresh(narrow["refresh_token"])["scope"] == "read write"


def test_requests_oauthlib_is_told_what_is_wrong(exchanger, shared_server, user):
    url = shared_server.url + TOKEN

    @contextlib.contextmanager
    def session(id=exchanger.id, scope=None):
        with OAuth2Session(client=BackendApplicationClient(id, scope=scope)) as session:
            yield session

    with session() as each, pytest.raises(oauthlib_errors.InvalidClientError):
        each.fetch_token(url, client_secret="wrong")
    with session("nobody") as each, pytest.raises(oauthlib_errors.InvalidClientError):
        each.fetch_token(url, client_secret=exchanger.secret, include_client_id=True)
    with session(scope=["admin"]) as each, pytest.raises(oauthlib_errors.InvalidScopeError):
        each.fetch_token(url, client_secret=exchanger.secret)
    with session(FIRST_PARTY) as each, pytest.raises(oauthlib_errors.UnauthorizedClientError):
        each.fetch_token(url, include_client_id=True)
    with OAuth2Session(FIRST_PARTY, token=shared_server.log_in(user)) as each:
        with pytest.raises(oauthlib_errors.InvalidGrantError):
            each.refresh_token(url, refresh_token="wrong")


# MARK: Go


GO_LIBRARY = "/usr/share/gocode/src/golang.org/x/oauth2/clientcredentials"


@pytest.fixture(scope="module")
def go_client(tmp_path_factory, shared_server):
    """Runs the Go client as another one and gives its report."""
    if not (shutil.which("go") and os.path.isdir(GO_LIBRARY)):
        pytest.skip("go or x/oauth2 isn't here: install golang-go golang-golang-x-oauth2-dev")
    program = tmp_path_factory.mktemp("go") / "client"
    # Debian's libraries are where Go looked before it had modules.
    subprocess.run(
        ["go", "build", "-o", str(program), "main.go"], cwd=pathlib.Path(__file__).with_name("go_client"), check=True,
        timeout=120, env=os.environ | {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": ""})

    def run(client, style, secret=None, scopes="", resources=""):
        completed = subprocess.run(
            [str(program)], capture_output=True, text=True, timeout=PATIENCE,
            env=os.environ | {
                "CLIENT_ID": client.id, "CLIENT_SECRET": secret or client.secret, "STYLE": style, "SCOPES": scopes,
                "RESOURCES": resources, "TOKEN_URL": shared_server.url + TOKEN,
                "PAGE_URL": shared_server.url + "/auth/me",
            })
        assert completed.returncode == 0, completed.stderr
        return json.loads(completed.stdout)

    return run


@pytest.fixture(scope="module")
def go_service(shared_server):
    return Client(
        shared_server.installation, "go-service", "--scope", "read", "--scope", "write",
        "--audience", "https://api.example", "--audience", shared_server.url)


STYLES = ["InHeader", "InParams", "AutoDetect"]


@pytest.mark.parametrize("style", STYLES)
def test_go_fetches_a_token_for_a_resource_and_uses_it(go_client, go_service, shared_server, style):
    report = go_client(go_service, style, scopes="write", resources=shared_server.url)
    assert (report["type"], report["scope"]) == ("Bearer", "write")
    assert report["status"] == 200
    claims = tokens.claims(report["token"])
    assert json.loads(report["body"]) == claims
    assert (claims["sub"], claims["aud"]) == (go_service.id, shared_server.url)
    expiry = datetime.datetime.fromisoformat(report["expiry"])
    assert abs(expiry.timestamp() - claims["exp"]) < 5


def test_go_asks_for_two_resources(go_client, go_service, shared_server):
    resources = f"https://api.example {shared_server.url}"
    report = go_client(go_service, "InHeader", resources=resources)
    assert set(tokens.claims(report["token"])["aud"]) == set(resources.split())
    assert report["status"] == 200


def test_a_token_of_go_for_another_service_is_refused(go_client, go_service, shared_server):
    report = go_client(go_service, "InHeader")
    assert tokens.claims(report["token"])["aud"] == "https://api.example"
    assert report["status"] == 401
    assert not me_accepts(shared_server, report["token"])


@pytest.mark.parametrize("style", STYLES)
def test_go_is_told_what_is_wrong(go_client, go_service, style):
    report = go_client(go_service, style, secret="wrong")
    assert (report["refused_with"], json.loads(report["refusal"])["error"]) == (401, "invalid_client")
    report = go_client(go_service, style, scopes="admin")
    assert (report["refused_with"], json.loads(report["refusal"])["error"]) == (400, "invalid_scope")
