"""Machine clients: how they are registered, how they say who they are, and what is asked of /oauth2/*."""

import json
import re
import time
import uuid

import jwt
import tokens
from joserfc.jwk import ECKey, OKPKey, RSAKey
from service import answered, assert_error

TOKEN, REVOKE, INTROSPECT = ENDPOINTS = "/oauth2/token", "/oauth2/revoke", "/oauth2/introspect"
#: The client of log-ins, which has no credential.
FIRST_PARTY = "first-party"

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
JWT = "urn:ietf:params:oauth:token-type:jwt"

#: What each endpoint is asked at the least.
LEAST = {TOKEN: {"grant_type": "client_credentials"}, REVOKE: {"token": "x"}, INTROSPECT: {"token": "x"}}

ALGORITHMS = ["ES256", "RS256", "EdDSA"]


def issuer(server):
    return server.installation.settings.get("issuer", server.url)


class Client:
    """A client with a secret, as it was added."""

    def __init__(self, installation, name, *arguments):
        self.installation, self.name = installation, name
        self.record = installation.json("clients", "add", name, *arguments)
        self.id, self.secret = self.record["client_id"], self.record.get("client_secret")

    def rotate(self, *arguments):
        """Takes the next secret; gives the one before."""
        before = self.secret
        self.secret = self.installation.json("clients", "rotate-secret", self.id, *arguments)["client_secret"]
        return before

    @property
    def basic(self):
        return (self.id, self.secret)

    def fields(self, server):
        """The parameters that say who it is: none, where the header does."""
        return {}


class KeyClient(Client):
    """A client with a key, registered as PEM or JWK."""

    def __init__(self, installation, name, *arguments, algorithm="ES256", form="pem"):
        self.algorithm, self.key = algorithm, new_key(algorithm)
        file = written(self.key, installation.folder / f"{name}.{form}", form)
        super().__init__(installation, name, "--public-key", file, *arguments)

    basic = None

    def fields(self, server, **options):
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": self.assertion(server, **options)}

    def claims(self, server, **changes):
        """The claims of an assertion; None leaves one out."""
        claims = {
            "iss": self.id, "sub": self.id, "aud": issuer(server) + TOKEN, "exp": int(time.time()) + 60,
            "jti": str(uuid.uuid4())}
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def assertion(self, server, header=None, key=None, payload=None, algorithm=None, **claims):
        """A signed assertion, by its own key unless another is given, of its own claims unless a payload is given."""
        if payload is None:
            payload = json.dumps(self.claims(server, **claims)).encode()
        algorithm = algorithm or self.algorithm
        return jwt.PyJWS().encode(payload, (key or self.key).private_key, algorithm=algorithm, headers=header)


def new_key(algorithm):
    if algorithm == "RS256":
        return RSAKey.generate_key(2048)
    return ECKey.generate_key("P-256") if algorithm == "ES256" else OKPKey.generate_key("Ed25519")


def written(key, file, form="pem", private=False):
    """Writes a key to a file, and gives its name."""
    if form == "pem":
        file.write_bytes(key.as_pem(private=private))
    else:
        file.write_text(json.dumps(key.as_dict(private=private)))
    return str(file)


# MARK: Requests


def ask(server, path, client=None, headers=None, **parameters):
    """Sends a form as a client. A list repeats its parameter; None leaves one out."""
    fields = client.fields(server) if client else {}
    return server.post(path, data=fields | parameters, auth=client.basic if client else None, headers=headers)


def token_response(server, client, **parameters):
    """The answer to client_credentials, which has to succeed."""
    return granted(ask(server, TOKEN, client, grant_type="client_credentials", **parameters))


def token(server, client, **parameters):
    return token_response(server, client, **parameters)["access_token"]


def exchange(server, client, subject, **parameters):
    fields = {"grant_type": EXCHANGE, "subject_token": subject, "subject_token_type": ACCESS_TOKEN}
    return ask(server, TOKEN, client, **(fields | parameters))


def exchanged(server, client, subject, **parameters):
    """The token that another is exchanged for, which has to succeed."""
    body = granted(exchange(server, client, subject, **parameters))
    assert set(body) - {"scope"} == {"access_token", "issued_token_type", "token_type", "expires_in"}
    assert body["issued_token_type"] == ACCESS_TOKEN
    return body["access_token"]


def granted(response):
    """The body of an answer with a token, as RFC 6749, 5.1 has it."""
    body = answered(response)
    assert (response.headers["Cache-Control"], response.headers["Pragma"]) == ("no-store", "no-cache")
    claims = tokens.claims(body["access_token"])
    assert body["token_type"] == "Bearer"
    assert 0 < body["expires_in"] <= claims["exp"] - claims["iat"]
    assert body.get("scope") == claims.get("scope") != ""
    return body


def revoke(server, client, token, **parameters):
    """Revokes a token; the answer is always the same."""
    response = ask(server, REVOKE, client, token=token, **parameters)
    assert (response.status_code, response.content) == (200, b""), response.text
    assert response.headers["Content-Length"] == "0"
    assert response.headers["Cache-Control"] == "no-store"


def introspection(server, client, token, **parameters):
    response = ask(server, INTROSPECT, client, token=token, **parameters)
    assert response.headers["Cache-Control"] == "no-store"
    body = answered(response)
    assert body["active"] is True or body == {"active": False}
    return body


def assert_refused(response, status, code):
    """Checks an error, as RFC 6749, 5.2 has it."""
    assert_error(response, status, code)
    assert response.headers["Cache-Control"] == "no-store"
    description = response.json()["error_description"]
    assert re.fullmatch(r"[\x20-\x21\x23-\x5B\x5D-\x7E]+", description), f"not a description: {description!r}"
    assert (response.headers.get("WWW-Authenticate") == 'Basic realm="oauth2"') == (status == 401)


def assert_unauthenticated(response):
    assert_refused(response, 401, "invalid_client")


def is_accepted(server, client, **parameters):
    """Whether a client gets a token; if not, it has to be told that it isn't known."""
    response = ask(server, TOKEN, client, grant_type="client_credentials", **parameters)
    if response.status_code == 200:
        return True
    assert_unauthenticated(response)
    return False
