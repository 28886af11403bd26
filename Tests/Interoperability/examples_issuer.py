"""An issuer that signs whatever a test asks it to, and counts what it is asked for."""

import base64
import collections
import hashlib
import hmac
import http.server
import json
import threading
import time
import zlib

import tokens
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

#: The order of P-256.
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class Key:
    """A key pair with its public JWK."""

    def __init__(self, algorithm, kid=None):
        self.algorithm = algorithm
        if algorithm == "ES256":
            self.private = ec.generate_private_key(ec.SECP256R1())
            numbers = self.public.public_numbers()
            members = {"kty": "EC", "crv": "P-256", "x": encoded_number(numbers.x, 32), "y": encoded_number(numbers.y, 32)}
        else:
            self.private = rsa.generate_private_key(65537, 2048)
            numbers = self.public.public_numbers()
            members = {"kty": "RSA", "n": encoded_number(numbers.n, 256), "e": encoded_number(numbers.e, 3)}
        self.kid = kid or f"{algorithm}-{id(self)}"
        self.jwk = members | {"kid": self.kid, "alg": algorithm, "use": "sig"}

    @property
    def public(self):
        return self.private.public_key()

    def signature(self, content):
        """As JWS has it."""
        if self.algorithm == "RS256":
            return self.private.sign(content, padding.PKCS1v15(), hashes.SHA256())
        r, s = utils.decode_dss_signature(self.der_signature(content))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def der_signature(self, content):
        return self.private.sign(content, ec.ECDSA(hashes.SHA256()))

    def pem(self):
        return self.public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def der(self):
        return self.public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def encoded_number(number, length):
    return tokens.encode(number.to_bytes(length, "big"))


def encoded(value):
    return tokens.encode(value if isinstance(value, bytes) else json.dumps(value).encode())


def signed(header, claims, key):
    """A compact JWS of JSON values or of bytes as they are."""
    content = f"{encoded(header)}.{encoded(claims)}"
    return f"{content}.{tokens.encode(key.signature(content.encode()))}"


def with_code(header, claims, secret):
    """The same with an HMAC in place of the signature."""
    content = f"{encoded(header)}.{encoded(claims)}"
    return f"{content}.{tokens.encode(hmac.new(secret, content.encode(), hashlib.sha256).digest())}"


class Issuer:
    """Publishes keys and status lists as the service does."""

    def __init__(self, audience):
        self.audience = audience
        self.es256, self.rs256 = Key("ES256"), Key("RS256")
        self.stranger = Key("ES256")
        self.published = [self.es256, self.rs256]
        self.ended = set()
        #: Status lists that aren't as they should be: by name, a function of the URI that gives the text.
        self.strange_lists = {}
        self.requests = collections.Counter()
        self.is_away = False
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.requests[self.path] += 1
                answer = None if issuer.is_away else issuer.answer(self.path)
                self.send_response(200 if answer else 404)
                if answer:
                    self.send_header("Content-Type", answer[0])
                self.send_header("Cache-Control", "public, max-age=300")
                self.end_headers()
                if answer:
                    self.wfile.write(answer[1].encode())

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, path):
        if path == "/.well-known/jwks.json":
            return "application/json", json.dumps({"keys": [key.jwk for key in self.published]})
        if path == "/strangers.json":
            return "application/json", json.dumps({"keys": [self.stranger.jwk | {"kid": self.es256.kid}]})
        if path.startswith("/status-lists/"):
            name = path.removeprefix("/status-lists/")
            make = self.strange_lists.get(name) if name != "0" else self.status_list
            return make and ("application/statuslist+jwt", make(self.url + path))
        return None

    @property
    def jwks_requests(self):
        return self.requests["/.well-known/jwks.json"]

    def status_list(self, uri, key=None, typ="statuslist+jwt", **changes):
        """A list of 1,024 sessions, of which some have ended."""
        bits = bytearray(128)
        for index in self.ended:
            bits[index // 8] |= 1 << index % 8
        key = key or self.es256
        now = int(time.time())
        text = base64.urlsafe_b64encode(zlib.compress(bytes(bits))).rstrip(b"=").decode()
        claims = {"sub": uri, "iat": now, "exp": now + 600, "ttl": 1, "status_list": {"bits": 1, "lst": text}}
        return signed({"alg": key.algorithm, "kid": key.kid, "typ": typ}, claims | changes, key)

    def header(self, key=None, **changes):
        key = key or self.es256
        return without_none({"alg": key.algorithm, "kid": key.kid, "typ": "at+jwt"} | changes)

    def claims(self, index=0, list="0", **changes):
        now = int(time.time())
        claims = {
            "iss": self.url, "sub": "anna", "aud": self.audience, "client_id": "first-party", "iat": now,
            "exp": now + 600, "jti": f"{time.monotonic_ns()}", "scope": "read", "sid": "session",
            "status": {"status_list": {"idx": index, "uri": f"{self.url}/status-lists/{list}"}},
        }
        return without_none(claims | changes)

    def token(self, key=None, header=None, **claims):
        """An access token, right but for what is said otherwise; None takes a claim or a header member away."""
        key = key or self.es256
        return signed(self.header(key, **(header or {})), self.claims(**claims), key)


def without_none(members):
    return {name: value for name, value in members.items() if value is not None}
