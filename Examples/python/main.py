"""A microservice that verifies the access tokens of a token service, with PyJWT. GET /me answers the token's claims."""

import base64
import json
import os
import re
import threading
import time
import urllib.request
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt

ISSUER = os.environ["ISSUER"]
AUDIENCE = os.environ.get("AUDIENCE", ISSUER)
REFETCH_SECONDS = float(os.environ.get("REFETCH_SECONDS", "10"))
ALGORITHMS = ["ES256", "RS256"]
LEEWAY = 30
MAXIMUM_LENGTH = 16 * 1024


class Refused(Exception):
    """Why a token is refused: for the log, the client isn't told."""


def decoded(text):
    """The bytes of base64url text. Python's decoder skips what it doesn't know; here there is one spelling."""
    data = base64.urlsafe_b64decode(text + "==")
    if base64.urlsafe_b64encode(data).decode().rstrip("=") != text:
        raise Refused("not base64url")
    return data


class Keys:
    """The issuer's keys by kid. They are fetched again when their max-age is over, and at most once in REFETCH_SECONDS
    for a kid that isn't among them, however many such tokens come."""

    def __init__(self):
        self.keys = {}
        self.asked_at = self.fresh_until = float("-inf")
        self.lock = threading.Lock()

    def find(self, kid):
        with self.lock:
            now = time.monotonic()
            if now >= self.fresh_until or (kid not in self.keys and now >= self.asked_at + REFETCH_SECONDS):
                self.fetch(now)
            if kid not in self.keys:
                raise Refused("an unknown kid")
            return self.keys[kid]

    def fetch(self, now):
        self.asked_at = now
        with urllib.request.urlopen(ISSUER + "/.well-known/jwks.json", timeout=5) as response:
            published = json.load(response)["keys"]
            max_age = re.search(r"max-age=(\d+)", response.headers.get("Cache-Control", ""))
        self.keys = {key["kid"]: jwt.PyJWK(key) for key in published if key.get("alg") in ALGORITHMS}
        self.fresh_until = now + (int(max_age[1]) if max_age else 300)


class StatusLists:
    """Which sessions have ended. A list is fetched again when its ttl is over, which counts from when it was signed."""

    def __init__(self):
        self.lists = {}
        self.lock = threading.Lock()

    def says_ended(self, uri, index):
        if not uri.startswith(ISSUER + "/status-lists/"):
            raise Refused("a status list of somebody else")
        with self.lock:
            fresh_until, bits = self.lists.get(uri, (0, b""))
            if time.time() >= fresh_until:
                fresh_until, bits = self.lists[uri] = self.fetch(uri)
        if not 0 <= index < len(bits) * 8:
            raise Refused("an index outside of its status list")
        return bits[index // 8] >> index % 8 & 1 == 1

    def fetch(self, uri):
        with urllib.request.urlopen(uri, timeout=5) as response:
            text = response.read().decode()
        claims = verified(text, "statuslist+jwt", options={"require": ["sub", "iat", "exp"]})
        if claims["sub"] != uri or claims["status_list"]["bits"] != 1:
            raise Refused("another status list")
        bits = zlib.decompress(decoded(claims["status_list"]["lst"]))
        return min(claims["iat"], time.time()) + claims["ttl"], bits


keys = Keys()
status_lists = StatusLists()


def verified(text, typ, **checks):
    """The claims of a JWT that is of a type and signed with a key of the issuer. The key says which algorithm."""
    header = json.loads([decoded(part) for part in text.split(".")][0])
    if header.get("typ") != typ:
        raise Refused("another type of token")
    if "crit" in header:
        raise Refused("an extension that nobody here knows")
    key = keys.find(header.get("kid"))
    return jwt.decode(text, key, algorithms=[key.algorithm_name], leeway=LEEWAY, **checks)


def verify(token):
    """The claims of an access token that is good for this service. Raises whatever is wrong with it."""
    if len(token) > MAXIMUM_LENGTH:
        raise Refused("too long")
    claims = verified(
        token, "at+jwt", issuer=ISSUER, audience=AUDIENCE, options={"require": ["iss", "aud", "sub", "iat", "exp"]})
    if not all(isinstance(claims[name], (int, float)) for name in ["iat", "exp"]):
        raise Refused("a time that is no number")
    status = claims["status"]["status_list"]
    if status_lists.says_ended(status["uri"], status["idx"]):
        raise Refused("its session has ended")
    return claims


class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path != "/me":
            return self.answer(404, {"error": "not_found"})
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return self.answer(401, {"error": "invalid_token"}, challenge="Bearer")
        try:
            claims = verify(token)
        except Exception as error:  # a token that can't be verified is refused, whatever the reason
            self.log_message("refused: %r", error)
            return self.answer(401, {"error": "invalid_token"}, challenge='Bearer error="invalid_token"')
        self.answer(200, claims)

    def answer(self, status, body, challenge=None):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Service)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
