"""Age files under a passphrase with a work factor for tests: as real, and a thousand times cheaper.

What seals takes a second or two so that a guess does; the file itself says how long
(``age-encryption.org/v1``, the scrypt recipient).
"""

import base64
import hashlib
import hmac
import os
import unicodedata

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

LOG_N = 4


def seal_cheaply(content: bytes, passphrase: str | None) -> bytes:
    """As ``ledger.doors.keys.seal_with``."""
    if passphrase is None:
        return content
    file_key, salt, nonce = os.urandom(16), os.urandom(16), os.urandom(16)
    word = unicodedata.normalize("NFC", passphrase).encode()
    label = b"age-encryption.org/v1/scrypt" + salt
    wrap = hashlib.scrypt(word, salt=label, n=1 << LOG_N, r=8, p=1, dklen=32)
    body = ChaCha20Poly1305(wrap).encrypt(bytes(12), file_key, None)
    header = b"age-encryption.org/v1\n-> scrypt %s %d\n%s\n---" % (_text(salt), LOG_N, _text(body))
    mac = hmac.digest(_derive(file_key, None, b"header"), header, "sha256")
    payload = ChaCha20Poly1305(_derive(file_key, nonce, b"payload"))
    return (
        header + b" %s\n" % _text(mac) + nonce + payload.encrypt(bytes(11) + b"\1", content, None)
    )


def _derive(key: bytes, salt: bytes | None, info: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt, info).derive(key)


def _text(content: bytes) -> bytes:
    return base64.b64encode(content).rstrip(b"=")
