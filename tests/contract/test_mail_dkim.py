"""A signature of ours holds for a verifier that is not ours, and breaks with every change."""

from __future__ import annotations

import hashlib
import re
import warnings
from base64 import b64decode
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from congvan.mail.dkim import Signer, UnusableKey
from congvan.mail.message import Enclosure, compose, encode_enclosures
from tests.contract.smtp_samples import headers

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import dkim

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
NOW = datetime(2023, 12, 1, 1, 0, tzinfo=UTC)
PAYLOAD = compose(
    headers(references=("<a.b@c.example>",)),
    "Kính gửi\n\n\n",
    "<p>Kính gửi</p>",
    encode_enclosures([Enclosure.of("Công văn.pdf", "application/pdf", bytes(range(256)) * 100)]),
)


def pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


SIGNER = Signer("bql-mau.example", "s1", pem(RSA))


def holds(payload: bytes, signer: Signer = SIGNER) -> bool:
    def dns(name: bytes, timeout: int = 5) -> bytes:
        assert name == b"s1._domainkey.bql-mau.example."
        return signer.dns_record.encode()

    return bool(dkim.verify(payload[:-3], dnsfunc=dns))


def test_a_signed_letter_is_verified_by_dkimpy() -> None:
    assert holds(SIGNER.sign(PAYLOAD, NOW))
    assert holds(SIGNER.sign(PAYLOAD))
    assert not holds(PAYLOAD)


@pytest.mark.parametrize("text", ["", "\n", "a", "a\n\n\n", " a \t b "])
def test_bodies_of_every_shape_are_verified(text: str) -> None:
    assert holds(SIGNER.sign(compose(headers(), text)))


def test_a_payload_that_was_stuffed_elsewhere_is_signed_as_it_reads() -> None:
    stuffed = b"From: a@bql-mau.example\r\nSubject: x\r\n\r\n..one\r\n...two\r\n\r\n\r\n.\r\n"
    signed = SIGNER.sign(stuffed)
    assert signed.endswith(stuffed)
    assert holds(signed.replace(b"\r\n..", b"\r\n."))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Subject: ", b"Subject: x"),
        (b"\r\nFrom: ", b"\r\nFrom: evil@evil.example\r\nFrom: "),
        (b"\r\nTo: ", b"\r\nFrom: evil@evil.example\r\nTo: "),
        (b"--=_congvan_mixed--", b"--=_congvan_mixed--\r\nx"),
        (b"Auto-Submitted: auto-generated", b"Auto-Submitted: no"),
    ],
)
def test_a_changed_letter_is_not(old: bytes, new: bytes) -> None:
    signed = SIGNER.sign(PAYLOAD, NOW)
    assert old in signed
    assert not holds(signed.replace(old, new, 1))


def test_an_ed25519_signature_holds_over_the_canonical_text() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    signed = Signer("bql-mau.example", "s1", pem(key)).sign(PAYLOAD, NOW)
    field = signed.partition(b"\r\nFrom:")[0].partition(b":")[2]
    text = re.sub(rb"\s+", b" ", field)
    signature = b64decode(re.sub(rb"\s", b"", text.rpartition(b" b=")[2]))
    names = re.search(rb"h=([a-z:-]+);", text)
    assert names is not None
    message = dkim.rfc822_parse(signed[:-3])[0]
    canonical = dkim.canonicalization.Relaxed.canonicalize_headers(message)
    chosen = dkim.select_headers(canonical, names[1].split(b":"))
    bare = re.sub(rb" b=.*", b" b=", text).strip()
    data = b"".join(name + b":" + value for name, value in chosen) + b"dkim-signature:" + bare
    key.public_key().verify(signature, hashlib.sha256(data).digest())


def test_a_second_from_is_signed_as_absent() -> None:
    # dkimpy refuses two senders by itself; other verifiers rely on the list (RFC 6376 section 8.15).
    assert b" h=from:from:to:subject:" in SIGNER.sign(PAYLOAD)


def test_lines_of_the_signature_are_short_and_the_payload_stays_ready() -> None:
    signed = SIGNER.sign(PAYLOAD, NOW)
    head = signed.partition(b"\r\nFrom:")[0]
    assert max(map(len, head.split(b"\r\n"))) <= 130
    assert signed.endswith(PAYLOAD)


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"-----BEGIN PRIVATE KEY-----\nxx\n-----END PRIVATE KEY-----\n",
        pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)),
        pem(ec.generate_private_key(ec.SECP256R1())),
    ],
    ids=["nothing", "nonsense", "short", "another kind"],
)
def test_a_key_that_nobody_would_verify_is_refused(key: bytes) -> None:
    with pytest.raises(UnusableKey):
        Signer("bql-mau.example", "s1", key)
