"""Where to send: `smtp://user@host:port?tls=starttls`, and what of it would be unsafe."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

from congvan.errors import CongvanError

Tls = Literal["none", "starttls", "implicit"]

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_PORTS: dict[Tls, int] = {"none": 25, "starttls": 587, "implicit": 465}


class UnsafeMailSettings(CongvanError):
    """These mail settings would send a password in clear; use ?tls=starttls or smtps://."""


@dataclass(frozen=True, slots=True)
class SmtpUrl:
    """A mail server and the way to it.

    tls: `starttls` (the default except on loopback) and `implicit` verify the certificate, against
    `ca_file` where one is named. The password is kept out of `repr` and of log lines.
    """

    host: str
    port: int
    tls: Tls = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    #: What we call ourselves (RFC 5321 section 4.1.1.1); a server that wants a name that it can look up, says so.
    helo: str = "localhost"

    def __post_init__(self) -> None:
        if self.user and self.tls == "none":
            raise UnsafeMailSettings

    @classmethod
    def parse(cls, text: str, password: str = "") -> SmtpUrl:
        """Read the URL (`smtp://` or `smtps://`; tls=none|starttls|implicit, ca=FILE, helo=NAME). User and password
        are percent-encoded where they hold what a URL uses itself.

        Raises ValueError for what cannot be read and UnsafeMailSettings for a login in clear.
        """
        parts = urlsplit(text)
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise ValueError("expected smtp://[user:password@]host[:port][?tls=none|starttls|implicit]")
        options = (
            {name: values[-1] for name, values in parse_qs(parts.query, strict_parsing=True).items()}
            if parts.query
            else {}
        )
        if unknown := options.keys() - {"tls", "ca", "helo"}:
            raise ValueError(f"unknown option {sorted(unknown)[0]!r}; known are tls, ca and helo")
        tls = _tls(options.get("tls", ""), parts.scheme, parts.hostname)
        return cls(
            host=parts.hostname,
            port=parts.port or _PORTS[tls],
            tls=tls,
            user=unquote(parts.username or ""),
            password=password or unquote(parts.password or ""),
            ca_file=options.get("ca", ""),
            helo=options.get("helo", "localhost"),
        )

    def with_password(self, password: str) -> SmtpUrl:
        """The same way with a password that does not stand in the URL."""
        return replace(self, password=password)

    def tls_context(self) -> ssl.SSLContext | None:
        """A context that verifies certificate and host name; None without TLS."""
        if self.tls == "none":
            return None
        context = ssl.create_default_context(cafile=self.ca_file or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        return f"smtp://{user}{self.host}:{self.port}?tls={self.tls}"


def _tls(asked: str, scheme: str, host: str) -> Tls:
    if scheme == "smtps":
        if asked not in ("", "implicit"):
            raise ValueError(f"smtps:// is implicit TLS, not {asked!r}")
        return "implicit"
    match asked:
        case "none" | "starttls" | "implicit":
            return asked
        case "":
            return "none" if host in LOOPBACK else "starttls"
        case _:
            raise ValueError(f"tls is none, starttls or implicit, not {asked!r}")
