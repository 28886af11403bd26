"""Verifiers that are each wrong in one way and otherwise Examples/python, for testing what is to find them.

    python broken_targets.py none|jku|aud PORT ISSUER

`none` takes a token with alg none, in any spelling, without a signature; `jku` takes the key from where the token says;
`aud` takes a token for any audience."""

import importlib.util
import json
import os
import pathlib
import sys

import jwt

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "Examples" / "python" / "main.py"


def header(text):
    return json.loads(example.decoded(text.split(".")[0]))


def takes_none(text, typ, **checks):
    if header(text).get("alg", "").lower() != "none":
        return right(text, typ, **checks)
    if header(text).get("typ") != typ or "crit" in header(text) or not text.endswith("."):
        raise example.Refused("another token")
    options = {f"verify_{each}": True for each in ["iss", "aud", "exp", "nbf", "iat"]} | {"verify_signature": False}
    return jwt.decode(text, leeway=example.LEEWAY, **checks | {"options": checks["options"] | options})


def follows_jku(text, typ, **checks):
    url = header(text).get("jku")
    if not url:
        return right(text, typ, **checks)
    if header(text).get("typ") != typ or "crit" in header(text):
        raise example.Refused("another token")
    with example.urllib.request.urlopen(url, timeout=5) as response:
        found = {key.get("kid"): key for key in json.load(response)["keys"]}
    key = jwt.PyJWK(found[header(text)["kid"]])
    return jwt.decode(text, key, algorithms=[key.algorithm_name], leeway=example.LEEWAY, **checks)


def skips_aud(text, typ, audience=None, options=None, **checks):
    required = [name for name in options["require"] if name != "aud"]
    return right(text, typ, options={"require": required, "verify_aud": False}, **checks)


if __name__ == "__main__":
    flaw, port, issuer = sys.argv[1:]
    os.environ |= {"PORT": port, "ISSUER": issuer}
    specification = importlib.util.spec_from_file_location("example", EXAMPLE)
    example = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(example)
    right = example.verified
    example.verified = {"none": takes_none, "jku": follows_jku, "aud": skips_aud}[flaw]
    server = example.ThreadingHTTPServer(("127.0.0.1", int(port)), example.Service)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
