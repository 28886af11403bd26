"""Refresh tokens as the service writes them, for who has its master secret."""

import hmac
import struct

import tokens
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class RefreshTokens:
    """The base64url of `version ‖ session id ‖ generation ‖ seed ‖ MAC`."""

    VERSION = 1
    CONTENT = struct.Struct(">B16sQ16s")

    def __init__(self, master_secret):
        """The first line of a master secret writes."""
        line = master_secret.splitlines()[0].encode()
        self.key = HKDF(hashes.SHA256(), 32, salt=None, info=b"token-service refresh token v1").derive(line)

    def text(self, session_id, generation, seed):
        content = self.CONTENT.pack(self.VERSION, session_id, generation, seed)
        return tokens.encode(content + hmac.digest(self.key, content, "sha256"))

    def successor(self, text):
        """The token that a refresh answers to one that the service wrote."""
        version, session_id, generation, seed = self.CONTENT.unpack_from(tokens.decode(text))
        assert version == self.VERSION
        assert text == self.text(session_id, generation, seed), "a refresh token isn't made as it is here"
        return self.text(session_id, generation + 1, seed)
