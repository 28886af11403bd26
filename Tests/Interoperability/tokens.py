"""Compact tokens as text: what they say, and how they are spoilt."""

import base64
import json


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def header(token):
    return json.loads(decode(token.split(".")[0]))


def claims(token):
    return json.loads(decode(token.split(".")[1]))


def kid(token):
    return header(token)["kid"]


def changed(text):
    """The same base64url text with one bit of its data changed."""
    data = bytearray(decode(text))
    data[len(data) // 2] ^= 1
    return encode(bytes(data))


def with_header(token, **members):
    """The token with other header members, under its old signature."""
    _, payload, signature = token.split(".")
    return ".".join([encode(json.dumps(header(token) | members).encode()), payload, signature])


def with_claims(token, **members):
    """The token with other claims, under its old signature."""
    first, _, signature = token.split(".")
    return ".".join([first, encode(json.dumps(claims(token) | members).encode()), signature])


def tampered(token):
    """Tokens made from a good one that nobody may accept, by what was done to them."""
    first, payload, signature = token.split(".")
    return {
        "another claim": with_claims(token, premium=True, role="admin"),
        "a later expiry": with_claims(token, exp=claims(token)["exp"] + 3600),
        "a changed bit in the signature": ".".join([first, payload, changed(signature)]),
        "half a signature": ".".join([first, payload, signature[: len(signature) // 2]]),
        "no signature": ".".join([first, payload, ""]),
        "alg none": ".".join([with_header(token, alg="none").split(".")[0], payload, ""]),
        "another header": with_header(token, typ="JWT"),
    }
