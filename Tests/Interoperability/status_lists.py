"""A reader of status lists that shares nothing with the service: zlib, PyJWT and the JWKS over HTTP."""

import json
import re
import time
import urllib.parse
import zlib

import jwt
import tokens
from service import answered

#: What a list has room for.
ENTRIES = 131_072
ALGORITHMS = ["ES256", "RS256"]


def reference(token):
    """The URI and the index of an access token's bit."""
    status = tokens.claims(token)["status"]["status_list"]
    return status["uri"], status["idx"]


def path(uri):
    """Where the list is on this machine, whatever the issuer's name is."""
    return urllib.parse.urlsplit(uri).path


def decoded(text):
    """The bytes of a list: base64url without padding over one whole zlib stream."""
    assert re.fullmatch(r"[A-Za-z0-9_-]+", text), "not base64url without padding"
    stream = zlib.decompressobj()
    data = stream.decompress(tokens.decode(text)) + stream.flush()
    assert stream.eof and not stream.unused_data, "not one whole zlib stream"
    return data


def is_set(data, index):
    """The bit of an index; the first is the lowest of the first byte."""
    return data[index // 8] >> index % 8 & 1 == 1


def verified(text, uri, jwks):
    """The claims of a list that was meant for a URI and signed with a published key."""
    header = tokens.header(text)
    assert header["typ"] == "statuslist+jwt"
    assert header["alg"] in ALGORITHMS
    (key,) = [key for key in jwks["keys"] if key["kid"] == header["kid"]]
    claims = jwt.decode(
        text, jwt.PyJWK.from_dict(key), algorithms=[header["alg"]], options={"require": ["sub", "iat", "exp"]})
    assert claims["sub"] == uri
    return claims


class StatusList:
    """A list as a server has it now, checked."""

    def __init__(self, server, uri):
        self.response = server.get(path(uri))
        assert self.response.status_code == 200, self.response.text
        self.text = self.response.content.decode()
        self.claims = verified(self.text, uri, server.jwks())
        assert self.claims["status_list"]["bits"] == 1
        self.data = decoded(self.claims["status_list"]["lst"])

    def says_ended(self, index):
        assert index < len(self.data) * 8
        return is_set(self.data, index)

    @property
    def is_fresh(self):
        return time.time() < self.claims["iat"] + self.claims["ttl"]


def says_ended(server, token):
    """Whether the bit of a token is set in its list of now."""
    uri, index = reference(token)
    return StatusList(server, uri).says_ended(index)


class CachingVerifier:
    """Asks for a list again only when its `iat` + `ttl` is over, as a microservice does."""

    def __init__(self, server):
        self.server = server
        self.lists = {}

    def refuses(self, token):
        uri, index = reference(token)
        if uri not in self.lists or not self.lists[uri].is_fresh:
            self.lists[uri] = StatusList(self.server, uri)
        return self.lists[uri].says_ended(index)


def me_accepts(server, token):
    """Whether `/auth/me` takes a token; if not, it has to say so as RFC 6750 has it."""
    response = server.get("/auth/me", token=token)
    if response.status_code == 200:
        assert answered(response) == tokens.claims(token)
        return True
    assert response.status_code == 401, response.text
    assert json.loads(response.content)["error"] == "invalid_token"
    assert response.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')
    return False
