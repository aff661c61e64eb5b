"""Addresses as they go over the wire: IDN domains, SMTPUTF8, envelope senders that find their way back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from email_validator import EmailNotValidError, ValidatedEmail, validate_email

from congvan.errors import LetterRefused

#: RFC 5321 section 4.5.3.1.1: octets of a local part.
LOCAL_PART_MAX = 64
#: Of the token that follows the + in an address of ours: an id in hex, a dot, twelve letters of its signature.
TOKEN_OCTETS = 45

#: RFC 5322 dot-atom, what nearly every mailbox has.
_PLAIN_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
#: Labels of letters, digits and single hyphens under an alphabetic top level: needs no conversion.
_PLAIN_DOMAIN = re.compile(
    r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9]|-(?!-)){0,61}(?<!-)\.)+[a-z]{2,24}", re.IGNORECASE
)
_TOKEN = re.compile(r"[a-z0-9][a-z0-9._-]*[a-z0-9]|[a-z0-9]")


class AddressUnusable(LetterRefused):
    """This is not an e-mail address that a message can be sent to."""


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox in wire form. `domain` is ASCII (IDNA 2008); `local` is what only SMTPUTF8 may widen."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def needs_utf8(self) -> bool:
        """Whether only a server with SMTPUTF8 (RFC 6531) can take it."""
        return not self.local.isascii()


@lru_cache(maxsize=256)
def parse_address(text: str) -> Address:
    """Return the address; raise AddressUnusable. Reserved domains (`.example`, `.test`) are addresses too."""
    local, at, domain = text.rpartition("@")
    if at and len(local) <= LOCAL_PART_MAX and _PLAIN_LOCAL.fullmatch(local):
        return Address(local, _wire_domain(domain))
    checked = _checked(text)
    if len(checked.local_part.encode()) > LOCAL_PART_MAX:
        raise AddressUnusable(f"{text!r}: more than {LOCAL_PART_MAX} octets before the @-sign")
    return Address(checked.local_part, checked.ascii_domain or checked.domain)


@lru_cache(maxsize=4096)
def _wire_domain(domain: str) -> str:
    """The domain in ASCII. Kept apart from the local part, because domains repeat and the check is dear."""
    if _PLAIN_DOMAIN.fullmatch(domain):
        return domain.lower()
    checked = _checked(f"x@{domain}")
    return checked.ascii_domain or checked.domain


def _checked(text: str) -> ValidatedEmail:
    try:
        return validate_email(
            text,
            check_deliverability=False,
            globally_deliverable=False,
            test_environment=True,
            allow_smtputf8=True,
            allow_quoted_local=True,
        )
    except EmailNotValidError as fault:
        raise AddressUnusable(f"{text!r}: {fault}") from fault


def domain_of(address: str) -> str:
    """The part after the last @, in lower case: the key of per-domain limits."""
    return address.rpartition("@")[2].lower()


def verp_sender(mailbox: str, token: str) -> str:
    """`bounces@d` and `t` give `bounces+t@d` (RFC 5233 subaddress): whatever comes back names its delivery.

    The token is the caller's (it should carry its own signature) and has to survive mail systems that
    lower-case local parts, so capitals are refused. Raises ValueError where it does not fit.
    """
    base = parse_address(mailbox)
    local = f"{base.local}+{token}"
    if not _TOKEN.fullmatch(token) or ".." in token:
        raise ValueError(f"a token of a mail address is lower case letters, digits and . _ -, not {token!r}")
    if len(local.encode()) > LOCAL_PART_MAX:
        raise ValueError(f"{local!r} has more than {LOCAL_PART_MAX} octets before the @-sign")
    return f"{local}@{base.domain}"


def verp_token(mailbox: str, address: str) -> str | None:
    """The token that `verp_sender(mailbox, token)` put into `address`; None where it is not one of ours."""
    base = parse_address(mailbox)
    local, _, domain = address.strip().strip("<>").rpartition("@")
    head, plus, token = local.partition("+")
    if not plus or domain.lower() != base.domain.lower() or head.lower() != base.local.lower():
        return None
    token = token.lower()
    return token if _TOKEN.fullmatch(token) else None
