"""The links in mails: short signed tokens with purpose and version, revocable per delivery.

The database holds no token, so a copy of it opens no door.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlencode

import orjson
from itsdangerous import BadData, URLSafeSerializer
from itsdangerous.encoding import base64_encode

from congvan.errors import LinkExpired, LinkInvalid

#: Where the officers' pages stand in the portal.
OFFICE = "office"
_SALT = "congvan-link-1"
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Link:
    """What a token says. version: the delivery's `link_version` when it was made."""

    delivery_id: str
    purpose: str
    version: int
    expires: datetime
    #: Whose link it is, where a recipient has passed its page to a colleague; stands in no token.
    delegate: str = ""


def office_url(portal_url: str, *parts: str, **query: str) -> str:
    """The address of a page of the officers', who log in there."""
    path = "/".join(quote(part, safe="") for part in (OFFICE, *parts))
    return f"{portal_url.rstrip('/')}/{path}" + (f"?{urlencode(query)}" if query else "")


class Links:
    """Makes and reads tokens. keys: the first signs, all are accepted."""

    def __init__(self, keys: Sequence[str], base_url: str) -> None:
        if not keys:
            raise LinkInvalid("no CONGVAN_SECRET_KEYS are set, so no link can be signed")
        # itsdangerous signs with the last of its keys
        self._signer = URLSafeSerializer(list(reversed(keys)), salt=_SALT)
        # The library derives its key anew for every token; a hop has thousands.
        self._derived = hmac.new(self._signer.make_signer(_SALT).derive_key(), digestmod="sha1")
        self._base = base_url.rstrip("/")
        mail_keys = [hashlib.sha256(b"congvan-mail-1" + key.encode()).digest() for key in keys]
        self._mail_keys = [hmac.new(key, digestmod="sha256") for key in mail_keys]

    def token(self, link: Link) -> str:
        """The signed token of a link."""
        said = [link.delivery_id, link.purpose, link.version, int(link.expires.timestamp())]
        # As the library writes it where compression does not pay: a tenth of the time.
        payload = base64_encode(orjson.dumps(said))
        return (payload + b"." + base64_encode(_signed(self._derived, payload))).decode()

    def url(self, link: Link) -> str:
        """Where the recipient answers. The host comes from the settings, never from a request."""
        return f"{self._base}/v/{self.token(link)}"

    def read(self, token: str, purpose: str, now: datetime) -> Link:
        """What the token says; raise LinkInvalid or LinkExpired. Revocation is the delivery's own word."""
        if len(token) > _LONGEST or not token.isascii():
            raise LinkInvalid
        try:
            delivery_id, meant, version, expires = self._signer.loads(token)
            link = Link(str(delivery_id), str(meant), int(version), datetime.fromtimestamp(int(expires), now.tzinfo))
        except (BadData, ValueError, TypeError, OverflowError):
            raise LinkInvalid from None
        if link.purpose != purpose:
            raise LinkInvalid
        if link.expires < now:
            raise LinkExpired
        return link

    def mail_token(self, message_key: str) -> str:
        """What follows the + in the engine's address of one delivery: its id and a short keyed hash.

        Lower case and below 64 octets, as mail systems want local parts (RFC 5321 section 4.5.3.1.1).
        """
        return _mail_token(self._mail_keys[0], message_key)

    def read_mail_token(self, token: str) -> str | None:
        """The id in an address that we made; None for one that we did not."""
        # Mail systems fold the case of local parts, and what comes in may hold any octets.
        token = token.lower()
        key, _, _signature = token.partition(".")
        given = token.encode("utf-8", "replace")
        # What left under an older key comes back for as long as that key is kept.
        ours = any(hmac.compare_digest(_mail_token(one, key).encode(), given) for one in self._mail_keys)
        return key if ours else None


def _mail_token(begun: hmac.HMAC, key: str) -> str:
    return f"{key}.{_signed(begun, key.encode()).hex()[:12]}"


def _signed(begun: hmac.HMAC, said: bytes) -> bytes:
    # A copy of what the key has begun: `hmac.digest` would let go of the interpreter for every short text.
    one = begun.copy()
    one.update(said)
    return one.digest()
