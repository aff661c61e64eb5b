"""Bounces that keep to no standard: who sent them, and what their text says."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from email import message_from_string
from email.message import Message

from flufl.bounce import all_failures

from congvan.mail.reading import READ_MAX, addresses, body_of, header, null_sender
from congvan.mail.reports import STATUS, Incoming, about_address

# It logs a traceback for every mail that one of its detectors trips over, with addresses in it.
logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL)

_DAEMON = re.compile(
    r"^(?:mailer[-_.]?daemon|postmaster|mail[-_.]?daemon|mdaemon|microsoftexchange\w*|double-bounce|bounces?|"
    r"mail\.?delivery|mailsystem|mail-system|noreply-mail|qmail-send)(?:[+@]|$)",
    re.IGNORECASE,
)
_FAILED = re.compile(
    r"undeliver|returned mail|delivery (?:status notification|failure|has failed|failed|incomplete)|mail delivery"
    r"|failure notice|could not be delivered|wasn't delivered|rejected:|không (?:thể )?(?:gửi|phát|chuyển) được"
    r"|không thể (?:gửi|phát|chuyển)|chưa được gửi|thư bị trả|gửi thư (?:không thành công|thất bại)|thất bại",
    re.IGNORECASE,
)
_LATE = re.compile(
    r"delay|still (?:trying|being retried)|will (?:be retried|keep trying|retry|continue)|not yet been delivered"
    r"|temporar|sẽ (?:tiếp tục )?(?:thử|gửi) lại|bị (?:chậm|trễ|hoãn)|tạm thời|chậm gửi|warning: message",
    re.IGNORECASE,
)
_GIVEN_UP = re.compile(
    r"(?<!not )(?<!not a )(?<!non-)(?:permanent|fatal)|giving up|(?<!not )(?<!not yet )given up|gave up"
    r"|(?<!chưa )(?<!không )ngừng|không (?:thử|gửi) lại|không tồn tại|bỏ cuộc",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"[A-Za-z0-9._%+=-]{1,64}@[A-Za-z0-9.-]{1,200}\.[A-Za-z]{2,24}")
_CODE = re.compile(r"(?<![\d.])([45][0-5]\d)[ -](?=\S)")


def odd_bounce(message: Message, raw: bytes, mailboxes: Sequence[str]) -> Incoming | None:
    """What a mail system says in its own words; None where it is not one that speaks."""
    failed_recipient = header(message, "X-Failed-Recipients").split(",")[0].strip()
    subject = header(message, "Subject")
    said = f"{subject}\n{body_of(message)}"
    if not failed_recipient:
        tells = bool(_FAILED.search(said) or _LATE.search(said))
        if not _speaks_for_a_system(message, subject, tells):
            return None
        if not tells:
            return Incoming("unknown", text=said.strip()[:5000])
    return _read(raw, said, failed_recipient, mailboxes)


def from_daemon(message: Message) -> bool:
    """Whether it bears the address of a mail system. People write from some of them, too."""
    if "mailer-daemon" in header(message, "From").lower():
        return True
    return any(_DAEMON.match(sender) for sender in addresses(message, "From", "Sender"))


def _speaks_for_a_system(message: Message, subject: str, tells: bool) -> bool:
    daemon = from_daemon(message)
    if header(message, "Auto-Submitted").lower().startswith("auto-replied") and not daemon:
        return False
    if daemon and not null_sender(message):
        # In a small company a person writes from postmaster@, and of what could not be done.
        if message.get("In-Reply-To") is not None:
            return tells and bool(_FAILED.search(subject))
        if message.get("Return-Path") is not None and not header(message, "Auto-Submitted"):
            return bool(_FAILED.search(subject) or _LATE.search(subject))
    return daemon or (null_sender(message) and bool(_FAILED.search(subject)))


def _read(raw: bytes, said: str, failed_recipient: str, mailboxes: Sequence[str]) -> Incoming:
    temporary, permanent = _failures(raw)
    code = _CODE.search(said)
    statuses = [found[0] for found in STATUS.finditer(said) if found[1] != "2"]
    # What else looks like a status (a version) is seldom of the class of the server's own reply.
    status = next((one for one in statuses if code and one[0] == code[1][0]), next(iter(statuses), ""))
    diagnostic = next((line.strip() for line in said.split("\n") if _CODE.search(line)), "")
    given_up = bool(permanent) or bool(_GIVEN_UP.search(said)) or status.startswith("5.")
    tried_again = status.startswith("4.") and not (code and code[1].startswith("5"))
    late = not given_up and (bool(temporary) or bool(_LATE.search(said)) or tried_again)
    return Incoming(
        "bounce_soft" if late else "bounce_hard",
        failed_recipient or _whom(said, permanent or temporary, mailboxes),
        text=said.strip()[:5000],
        status=status,
        diagnostic=diagnostic[:500],
        wrong_address=not late and about_address(status, code[0] if code else said[:5000]),
    )


def _failures(raw: bytes) -> tuple[list[str], list[str]]:
    """What flufl.bounce finds, as text; it was not written against hostile mail.

    Read as Latin-1 for it: from octets beyond ASCII the library makes headers that it cannot handle.
    """
    try:
        temporary, permanent = all_failures(message_from_string(raw[:READ_MAX].decode("latin-1")))
    except Exception:
        return [], []
    return [_as_text(address) for address in temporary], [_as_text(address) for address in permanent]


def _as_text(address: bytes | str) -> str:
    return address.decode("utf-8", "replace") if isinstance(address, bytes) else address


def _whom(said: str, found: list[str], mailboxes: Sequence[str]) -> str:
    ours = {mailbox.lower() for mailbox in mailboxes}
    if found:
        return sorted(found)[0]
    for address in _ADDRESS.findall(said[:20_000]):
        base = re.sub(r"\+[^@]*", "", address.lower())
        if base not in ours and not _DAEMON.match(address):
            return str(address)
    return ""
