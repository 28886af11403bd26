"""Tokens that nobody may accept, made for an `examples_issuer.Issuer`."""

import base64
import json
import time

import tokens
from examples_issuer import ORDER, encoded, encoded_number, signed, with_code


def forgeries(issuer):
    """What somebody makes without a key of the issuer."""
    good = issuer.token()
    first, payload, signature = good.split(".")
    raw = tokens.decode(signature)
    r, s = raw[:32], raw[32:]
    claims = issuer.claims()
    content = f"{first}.{payload}".encode()
    key, stranger = issuer.es256, issuer.stranger
    rsa_first, rsa_payload, rsa_signature = issuer.token(key=issuer.rs256).split(".")

    def with_signature(data):
        return f"{first}.{payload}.{tokens.encode(data)}"

    def by_stranger(**header):
        return signed(issuer.header(**header), claims, stranger)

    def with_raw_header(data):
        return signed(data, claims, stranger)

    found = {
        "a stranger's key": by_stranger(),
        "no kid": by_stranger(kid=None),
        "an unknown kid": by_stranger(kid="unknown"),
        "a huge kid": by_stranger(kid="k" * 8000),
        "a kid like a path": by_stranger(kid="../../../../dev/null"),
        "a kid like SQL": by_stranger(kid="' UNION SELECT 'key' --"),
        "a kid that is a number": by_stranger(kid=7),
        "a kid that is a list": by_stranger(kid=[key.kid]),
        "its own jwk": by_stranger(kid=None, jwk=stranger.jwk),
        "its own jwk and the kid": by_stranger(jwk=stranger.jwk | {"kid": key.kid}),
        "its own jku": by_stranger(jku=issuer.url + "/strangers.json"),
        "its own x5u": by_stranger(x5u=issuer.url + "/strangers.json"),
        "its own x5c": by_stranger(x5c=[base64.b64encode(stranger.der()).decode()]),
        "another token's signature": f"{first}.{payload}.{issuer.token(sub='bert').split('.')[2]}",
        "another token's claims": f"{first}.{issuer.token(sub='bert').split('.')[1]}.{signature}",
        "an RS256 signature under ES256": f"{first}.{payload}.{rsa_signature}",
        "RS256 with the EC key's kid": signed(issuer.header(alg="RS256"), claims, issuer.rs256),
        "ES256 with the RSA key's kid": signed(issuer.header(kid=issuer.rs256.kid), claims, key),
        "no signature": f"{first}.{payload}.",
        "half a signature": with_signature(raw[:32]),
        "a signature with a zero more": with_signature(raw + b"\0"),
        "a signature with a zero before": with_signature(b"\0" + raw),
        "a signature with a zero in the middle": with_signature(r + b"\0" + s),
        "a signature of zeros": with_signature(bytes(64)),
        "a DER signature": with_signature(key.der_signature(content)),
        "r zero": with_signature(bytes(32) + s),
        "s zero": with_signature(r + bytes(32)),
        "r the order": with_signature(ORDER.to_bytes(32, "big") + s),
        "r and s swapped": with_signature(s + r),
        "an RSA signature with the modulus added": with_modulus(issuer),
        "an RSA signature of zeros": f"{rsa_first}.{rsa_payload}.{tokens.encode(bytes(256))}",
        "an RSA signature with a zero before": f"{rsa_first}.{rsa_payload}.{tokens.encode(bytes(1) + tokens.decode(rsa_signature))}",
        "padding": good + "=" * (-len(signature) % 4),
        "a blank": f"{first}.{payload} .{signature}",
        "a tab": f"{first}.{payload}\t.{signature}",
        "plus and slash": in_standard_base64(issuer),
        "other unused bits": good[:-1] + chr(ord(good[-1]) + 1),
        "other unused bits in another letter case": good[:-1] + good[-1].swapcase(),
        "a character more": good + "A",
        "four parts": good + ".AAAA",
        "an empty fourth part": good + ".",
        "two parts": f"{first}.{payload}",
        "one part": first,
        "dots": "..",
        "six parts": ".".join([good] * 2),
        "five parts, as in JWE": f"{encoded({'alg': 'RSA-OAEP', 'enc': 'A128GCM'})}.AAAA.AAAA.AAAA.AAAA",
        "JSON serialization": json.dumps({"payload": payload, "protected": first, "signature": signature}),
        "b64 false": by_stranger(b64=False, crit=["b64"]),
        "a header with a member twice": with_raw_header(
            json.dumps(issuer.header())[:-1].encode() + b', "alg": "none"}'),
        "a header in Latin-1": with_raw_header(b'{"alg": "ES256", "kid": "\xe9", "typ": "at+jwt"}'),
        "a header with a BOM": with_raw_header(b"\xef\xbb\xbf" + json.dumps(issuer.header()).encode()),
        "a header with something after it": with_raw_header(json.dumps(issuer.header()).encode() + b" x"),
        "a header that is a list": with_raw_header(b"[]"),
        "a header that is null": with_raw_header(b"null"),
        "a header that is nothing": with_raw_header(b""),
        "a header 5,000 deep": with_raw_header(b'{"alg": "ES256", "kid": ' + b"[" * 5000 + b"]" * 5000 + b"}"),
        "a header with 1e400": with_raw_header(b'{"alg": "ES256", "kid": 1e400, "typ": "at+jwt"}'),
        "20 KiB": by_stranger(kid="k" * 15000),
    }
    for spelling in ["none", "None", "NONE", "nOnE", "", "null"]:
        unsigned = f"{encoded(issuer.header(alg=spelling))}.{encoded(claims)}."
        found[f"alg {spelling!r}"] = unsigned
        found[f"alg {spelling!r} and a signature"] = unsigned + signature
    found["no alg"] = f"{encoded(issuer.header(alg=None))}.{encoded(claims)}.{signature}"
    found["alg null"] = f"{encoded(issuer.header() | {'alg': None})}.{encoded(claims)}.{signature}"
    for each in [key, issuer.rs256]:
        header = issuer.header(each, alg="HS256")
        for name, secret in {
            "PEM": each.pem(), "PEM without a line end": each.pem().strip(), "DER": each.der(),
            "JWK": json.dumps(each.jwk).encode(), "number": tokens.decode(each.jwk.get("n", each.jwk.get("x"))),
            "nothing": b"",
        }.items():
            found[f"HS256 with the {each.algorithm} key as {name}"] = with_code(header, claims, secret)
    return found


def with_modulus(issuer):
    """A good token but for an RSA signature that means the same to whoever reduces it."""
    modulus = issuer.rs256.public.public_numbers().n
    while True:
        content, signature = issuer.token(key=issuer.rs256).rsplit(".", 1)
        larger = int.from_bytes(tokens.decode(signature), "big") + modulus
        if larger < 1 << 2048:
            return f"{content}.{encoded_number(larger, 256)}"


def in_standard_base64(issuer):
    """A good token but for the alphabet of its signature."""
    while True:
        first, payload, signature = issuer.token().split(".")
        if set(signature) & set("-_"):
            return f"{first}.{payload}.{signature.replace('-', '+').replace('_', '/')}"


def der_as_rsa(issuer):
    """Signed by the EC key itself, but in the form and under the name that OpenSSL would take for RS256."""
    content = f"{encoded(issuer.header(alg='RS256'))}.{encoded(issuer.claims())}"
    return f"{content}.{tokens.encode(issuer.es256.der_signature(content.encode()))}"


def misuses(issuer):
    """What the issuer signed for another purpose, another time or somebody else."""
    now = time.time()
    return {
        "no typ": issuer.token(header={"typ": None}),
        "typ JWT": issuer.token(header={"typ": "JWT"}),
        "typ of a status list": issuer.token(header={"typ": "statuslist+jwt"}),
        "a status list": issuer.status_list(f"{issuer.url}/status-lists/0"),
        "crit": issuer.token(header={"crit": ["exp"]}),
        "an empty crit": issuer.token(header={"crit": []}),
        "a crit that is no list": issuer.token(header={"crit": "exp"}),
        "b64 true, but critical": issuer.token(header={"b64": True, "crit": ["b64"]}),
        "a signed alg of another key": signed(issuer.header(alg="ES384"), issuer.claims(), issuer.es256),
        "RS256 over a DER signature of the EC key": der_as_rsa(issuer),
        "a signature without a kid": issuer.token(header={"kid": None}),
        "another issuer": issuer.token(iss="https://other.example"),
        "an issuer that begins alike": issuer.token(iss=issuer.url + "/"),
        "no issuer": issuer.token(iss=None),
        "another audience": issuer.token(aud="https://other.example"),
        "the issuer as audience": issuer.token(aud=issuer.url),
        "an audience that begins alike": issuer.token(aud=issuer.audience + ".example"),
        "other audiences": issuer.token(aud=["https://other.example", issuer.audience + "/"]),
        "no audience": issuer.token(aud=None),
        "an empty list of audiences": issuer.token(aud=[]),
        "a token that has expired": issuer.token(exp=int(now) - 40),
        "no expiry": issuer.token(exp=None),
        "an expiry that is null": signed(issuer.header(), issuer.claims() | {"exp": None}, issuer.es256),
        "an expiry that is a text": issuer.token(exp=str(int(now) + 600)),
        "an expiry that is a list": issuer.token(exp=[int(now) + 600]),
        "a negative expiry": issuer.token(exp=-1),
        "a token that isn't valid yet": issuer.token(nbf=int(now) + 300),
        "a token that is issued in the future": issuer.token(iat=int(now) + 300),
        "claims that are a list": signed(issuer.header(), [issuer.claims()], issuer.es256),
        "claims that are nothing": signed(issuer.header(), b"", issuer.es256),
        "claims with something after them": signed(
            issuer.header(), json.dumps(issuer.claims()).encode() + b"}", issuer.es256),
    }
