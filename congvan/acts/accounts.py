"""Accounts of operators: made, changed, signed in and out. Only the hash of a password or a session is kept.

Whoever signs in learns nothing of who exists: a wrong name, a wrong password and a disabled account get one
answer after the same work, and the lock counts what was typed, known or not.
"""

from __future__ import annotations

import asyncio
import hashlib
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import select

from congvan.errors import ActRefused, BadInput, CongvanError, Fault, NotFound
from congvan.house import House
from congvan.store.accounts import Failures, Operator, Session
from congvan.store.ledger import Ledger

#: OWASP ASVS 2.1.1, 2.1.2: at least 12 characters, and long passphrases are taken.
SHORTEST, LONGEST = 12, 128
#: Failures under one name, and from one address, within the window; then nothing is even tried.
BY_NAME, BY_ADDRESS = 5, 30
WINDOW = timedelta(minutes=15)
#: A session's "last seen" is written at most this often: pages would otherwise be writes.
_SEEN_EVERY = timedelta(minutes=1)
_NAME = "abcdefghijklmnopqrstuvwxyz0123456789._-"

_hasher = PasswordHasher()


class Role(StrEnum):
    """What an account may do; each may what those before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    LEADER = "leader"

    def may(self, needed: Role) -> bool:
        """True when this role is the needed one or stands above it."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class Account:
    """Who an operator is. email: where their trial mails go."""

    name: str
    full_name: str
    role: Role
    email: str
    disabled: bool = False
    locked: bool = False


class SignInRefused(CongvanError):
    """The name or the password is wrong."""


class SignInLocked(CongvanError):
    """Too many failures under this name or from this address; it opens by itself after a while."""


# ------------------------------------------------------------------------------------ accounts


async def add(house: House, account: Account, password: str) -> None:
    """Make an account; raise BadInput for a name or password that cannot be, ActRefused for a name taken."""
    _check_name(account.name)
    hashed = await _hashed(account.name, password)
    async with house.store.act() as ledger:
        made = await ledger.add_if_absent(
            Operator,
            name=account.name, full_name=account.full_name or account.name, role=account.role.value,
            email=account.email, password=hashed, created_at=house.clock.wall(),
        )  # fmt: skip
    if not made:
        raise ActRefused(f"đã có tài khoản «{account.name}»")


async def listed(house: House) -> list[Account]:
    """Every account by name."""
    wall = house.clock.wall()
    async with house.store.view() as ledger:
        rows: list[Operator] = await ledger.all(select(Operator).order_by(Operator.name))
        locked = {
            row.key
            for row in await ledger.all(select(Failures).where(Failures.number >= BY_NAME))
            if wall - row.since < WINDOW
        }
        return [_account(row, locked=_key("name", row.name) in locked) for row in rows]


async def disable(house: House, name: str) -> None:
    """Shut an account and end its sessions; its past acts keep its name."""
    async with house.store.act() as ledger:
        row = await _existing(ledger, name)
        await ledger.change(Operator, Operator.name == row.name, disabled_at=house.clock.wall())
        await ledger.remove(Session, Session.operator == row.name)


async def set_password(house: House, name: str, password: str) -> None:
    """A new password; every session of the account ends."""
    hashed = await _hashed(name, password)
    async with house.store.act() as ledger:
        row = await _existing(ledger, name)
        await ledger.change(Operator, Operator.name == row.name, password=hashed)
        await ledger.remove(Session, Session.operator == row.name)


async def set_role(house: House, name: str, role: Role) -> None:
    """What the account may do from now on; its sessions go on under the new role."""
    async with house.store.act() as ledger:
        row = await _existing(ledger, name)
        await ledger.change(Operator, Operator.name == row.name, role=role.value)


async def change_password(house: House, name: str, old: str, new: str, address: str) -> None:
    """A password that its owner changes; raise SignInRefused or SignInLocked as a sign-in would, and BadInput.

    Every session of the account ends, the one that asked as well.
    """
    await sign_in(house, name, old, address)
    await set_password(house, name, new)


async def set_email(house: House, name: str, email: str) -> None:
    """Where the trial mails of this account go."""
    async with house.store.act() as ledger:
        row = await _existing(ledger, name)
        await ledger.change(Operator, Operator.name == row.name, email=email)


async def unlock(house: House, name: str) -> None:
    """Open an account again: failures under its name are forgotten, and it is no longer disabled."""
    async with house.store.act() as ledger:
        row = await _existing(ledger, name)
        await ledger.change(Operator, Operator.name == row.name, disabled_at=None)
        await ledger.remove(Failures, Failures.key == _key("name", row.name))


async def _existing(ledger: Ledger, name: str) -> Operator:
    row = await ledger.find(Operator, plain_name(name))
    if row is None:
        raise NotFound(f"không có tài khoản «{name}» → xem: congvan operator list")
    return row


def _account(row: Operator, *, locked: bool = False) -> Account:
    return Account(row.name, row.full_name, Role(row.role), row.email, row.disabled_at is not None, locked)


def plain_name(name: str) -> str:
    """A name as it is kept: NFC, small letters, without blanks around it."""
    return unicodedata.normalize("NFC", name).strip().lower()


def _check_name(name: str) -> None:
    if not name or len(name) > 40 or set(name) - set(_NAME):
        remedy = "dùng chữ thường không dấu, chữ số, dấu . _ -, ví dụ hoa.nguyen"
        raise BadInput([Fault("tài khoản", "tên", f"«{name}» không dùng được", remedy)])


async def _hashed(name: str, password: str) -> str:
    if not SHORTEST <= len(password) <= LONGEST:
        remedy = f"đặt từ {SHORTEST} đến {LONGEST} ký tự; một câu dễ nhớ là tốt nhất"
        raise BadInput([Fault("tài khoản", "mật khẩu", f"dài {len(password)} ký tự", remedy)])
    if name in password.lower() or len(set(password)) < 5:
        raise BadInput([Fault("tài khoản", "mật khẩu", "quá dễ đoán", "không dùng tên tài khoản, không lặp ký tự")])
    return await asyncio.to_thread(_hasher.hash, unicodedata.normalize("NFKC", password))


# ------------------------------------------------------------------------------------ signing in


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session. token: the cookie's value, known to nobody else."""

    token: str
    account: Account


async def sign_in(house: House, name: str, password: str, address: str) -> SignedIn:
    """Open a session; raise SignInRefused or SignInLocked.

    1. The failure is counted before anything is tried, so that a thousand tries at once are counted too.
    2. A hash is verified whether or not the name exists: the answer takes as long.
    3. A right password takes its own failure back and opens a session under a new token.
    """
    name, wall = plain_name(name)[:200], house.clock.wall()
    keys = [(_key("name", name), BY_NAME), (_key("address", address), BY_ADDRESS)]
    async with house.store.act() as ledger:
        for key, most in sorted(keys):
            await _count(ledger, key, most, wall)
        row = await ledger.find(Operator, name)
    good = await asyncio.to_thread(_verified, row.password if row else None, password[: LONGEST + 1])
    if row is None or not good or row.disabled_at is not None:
        raise SignInRefused
    token = f"{house.random.getrandbits(256):064x}"
    async with house.store.act() as ledger:
        now = await ledger.take(Operator, name)
        if (now.password, now.disabled_at) != (row.password, None):
            # A new password, or the end of the account, came in between.
            raise SignInRefused
        await ledger.remove(Failures, Failures.key == _key("name", name))
        await ledger.change(Failures, Failures.key == _key("address", address), number=Failures.number - 1)
        await ledger.remove(Session, Session.ends_at < wall)
        await ledger.remove(Failures, Failures.since < wall - WINDOW)
        await ledger.add(
            Session,
            token_sha256=_sha256(token), operator=row.name, created_at=wall, seen_at=wall,
            ends_at=wall + timedelta(hours=house.settings.session_hours),
        )  # fmt: skip
        if _hasher.check_needs_rehash(row.password):
            hashed = await asyncio.to_thread(_hasher.hash, unicodedata.normalize("NFKC", password))
            await ledger.change(Operator, Operator.name == row.name, password=hashed)
    return SignedIn(token, _account(row))


async def _count(ledger: Ledger, key: str, most: int, wall: datetime) -> None:
    await ledger.add_if_absent(Failures, key=key, since=wall, number=0)
    row = await ledger.take(Failures, key)
    number = row.number if wall - row.since < WINDOW else 0
    if number >= most:
        raise SignInLocked
    await ledger.change(Failures, Failures.key == key, number=number + 1, since=row.since if number else wall)


@lru_cache(maxsize=1)
def _nobodys() -> str:
    return _hasher.hash("the hash that a name without an account is held against")


def _verified(hashed: str | None, password: str) -> bool:
    nobodys = _nobodys()  # made first, in either case: the first answer of a process takes as long, too
    try:
        return _hasher.verify(hashed or nobodys, unicodedata.normalize("NFKC", password)) and hashed is not None
    except (VerificationError, InvalidHashError):
        return False


async def seated(house: House, token: str) -> Account | None:
    """Whose session this is; None where it has ended, idle or absolute, or never was."""
    if not token:
        return None
    wall, idle = house.clock.wall(), timedelta(minutes=house.settings.session_idle_min)
    async with house.store.view() as ledger:
        session = await ledger.find(Session, _sha256(token))
        row = await ledger.find(Operator, session.operator) if session else None
    if session is None or row is None or row.disabled_at is not None:
        return None
    if wall >= session.ends_at or wall - session.seen_at >= idle:
        return None
    if wall - session.seen_at >= _SEEN_EVERY:
        async with house.store.act() as ledger:
            await ledger.change(Session, Session.token_sha256 == session.token_sha256, seen_at=wall)
    return _account(row)


async def sign_out(house: House, token: str) -> None:
    """End a session here and now."""
    async with house.store.act() as ledger:
        await ledger.remove(Session, Session.token_sha256 == _sha256(token))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _key(kind: str, what: str) -> str:
    return f"{kind}:{_sha256(what)}"
