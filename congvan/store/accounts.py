"""The tables of those who may look and act on the operators' pages: accounts, sessions, failed sign-ins.

Instants here are wall time: a session ends in real time, also where the demo's clock jumps.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from congvan.store.tables import Table


class Operator(Table):
    """An account. Never deleted: its name stands in the log of what it did."""

    __tablename__ = "operators"
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    full_name: Mapped[str]
    #: viewer, operator, leader: each may what the one before may.
    role: Mapped[str] = mapped_column(String(16))
    #: Where a trial mail of this person goes; empty: nowhere.
    email: Mapped[str] = mapped_column(default="")
    #: Argon2id with its own salt and parameters.
    password: Mapped[str]
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]
    __table_args__ = (CheckConstraint("role IN ('viewer', 'operator', 'leader')", "role_known"),)


class Session(Table):
    """Somebody is signed in. Holds the hash of the cookie: a copy of the database opens no session."""

    __tablename__ = "sessions"
    token_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    operator: Mapped[str] = mapped_column(String(40), ForeignKey("operators.name"), index=True)
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    #: It ends then, however busy it is; earlier when it was idle for too long.
    ends_at: Mapped[datetime] = mapped_column(index=True)


class Failures(Table):
    """Sign-ins that failed under one name, or from one address, since an instant. Known names or not: all alike."""

    __tablename__ = "sign_in_failures"
    #: "name:" or "address:" and a SHA-256; what was typed may have been a password.
    key: Mapped[str] = mapped_column(String(80), primary_key=True)
    since: Mapped[datetime]
    number: Mapped[int] = mapped_column(default=0)
