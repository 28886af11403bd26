"""Verifiers that nobody here wrote. Each fetches the JWKS when it is made and keeps it; an unknown kid makes it fetch
once more."""

import json
import math
import subprocess
import time

import jwt
import requests
import tokens
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import KeySet
from service import answered

ALGORITHMS = ["ES256", "RS256"]


class PyJWT:
    """Keeps the JWKS no longer than it is told to. After a fetch, it waits for a while before it fetches again for an
    unknown kid."""

    def __init__(self, url, keep_for=1):
        self.client = jwt.PyJWKClient(url + "/.well-known/jwks.json", cache_jwk_set=True, lifespan=keep_for)
        self.client.get_signing_keys()

    def verify(self, token, issuer):
        key = self.client.get_signing_key_from_jwt(token)
        return jwt.decode(
            token, key, algorithms=ALGORITHMS, issuer=issuer, audience=issuer,
            options={"require": ["iss", "sub", "aud", "client_id", "iat", "exp", "jti"]})


class Joserfc:
    """Keeps the JWKS no longer than it is told to, where it is told."""

    def __init__(self, url, keep_for=math.inf):
        self.url, self.keep_for = url, keep_for
        #: How often a token named a key that wasn't in what was kept.
        self.surprises = 0
        self.fetch()

    def fetch(self):
        # From before the answer, as of when it can be.
        self.fetched_at = time.monotonic()
        response = requests.get(self.url + "/.well-known/jwks.json", timeout=30)
        self.keys = KeySet.import_key_set(answered(response))

    def verify(self, token, issuer):
        if time.monotonic() > self.fetched_at + self.keep_for:
            self.fetch()
        if tokens.header(token).get("kid") not in {key.kid for key in self.keys}:
            self.surprises += 1
            self.fetch()
        decoded = joserfc_jwt.decode(token, self.keys, algorithms=ALGORITHMS)
        joserfc_jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": issuer}, aud={"essential": True, "value": issuer},
            sub={"essential": True}, exp={"essential": True}, jti={"essential": True}).validate(decoded.claims)
        return decoded.claims


class JoseCommand:
    """Debian's `jose`, with curl in front of it."""

    def __init__(self, url, keep_for=None):
        self.url = url
        self.fetch()

    def fetch(self):
        self.jwks = subprocess.run(
            ["curl", "--fail", "--silent", "--show-error", self.url + "/.well-known/jwks.json"],
            check=True, capture_output=True, timeout=30).stdout

    def verify(self, token, issuer):
        if tokens.header(token).get("kid") not in {key["kid"] for key in json.loads(self.jwks)["keys"]}:
            self.fetch()
        completed = subprocess.run(
            ["jose", "jws", "ver", "-i", token, "-k", "-", "-O", "-"], input=self.jwks, capture_output=True, timeout=30)
        if completed.returncode != 0:
            raise ValueError(f"jose refuses the token: {completed.stderr}")
        claims = json.loads(completed.stdout)
        assert claims["iss"] == claims["aud"] == issuer
        return claims


VERIFIERS = [PyJWT, Joserfc, JoseCommand]
