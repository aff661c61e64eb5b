"""What is set from outside: `CONGVAN_*` in the environment or in `.env`."""

from __future__ import annotations

from functools import cached_property
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, IPvAnyNetwork, SecretStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from congvan.errors import CongvanError

#: Of one campaign as many as a Prefect server on SQLite shows one by one without falling behind.
SQLITE_BOARD_RUNS = 2_000


def _shipped(name: str) -> Path:
    """`config/` or `templates/`: beside the packages in a checkout, inside the wheel otherwise."""
    beside = Path(__file__).resolve().parent.parent
    checkout = beside / name
    return checkout if checkout.is_dir() else beside / "congvan_data" / name


class Settings(BaseSettings):
    """The engine's settings; every name is prefixed with CONGVAN_."""

    model_config = SettingsConfigDict(env_prefix="CONGVAN_", env_file=".env", extra="ignore", frozen=True)

    home: Path = Path(".congvan")
    database_url: str = ""
    smtp_url: str = "smtp://127.0.0.1:2525"
    imap_url: str = ""
    portal_url: str = "http://127.0.0.1:4280"
    #: The first signs, all verify: put a new key in front, drop the old one when its links have expired.
    secret_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    config: Path = Field(default_factory=lambda: _shipped("config"))
    templates: Path = Field(default_factory=lambda: _shipped("templates"))
    cascade: Path | None = None
    #: An authority's own words templates; looked at before the shipped ones, so it brings only what differs.
    letters: Path | None = None
    #: The engine's own mailbox; replies go to ‹local›+‹delivery›@‹domain›, so ‹local› has 18 octets at the most.
    mail_from: str = "congvan@bql.example"
    smtp_connections: int = Field(4, ge=1, le=64)
    #: Messages started a second, to everybody and to one domain, and at a time to one domain. 0: no limit.
    smtp_rate_per_s: float = Field(0, ge=0)
    smtp_domain_rate_per_s: float = Field(0, ge=0)
    smtp_per_domain: int = Field(0, ge=0)
    #: Octets of a letter's files as they travel (a third more than on the disk): what goes beyond waits on the
    #: recipient's page.
    mail_max_bytes: int = Field(20_000_000, ge=0)
    #: DKIM (RFC 6376), where the mail server does not sign: all three or none.
    dkim_domain: str = ""
    dkim_selector: str = ""
    dkim_key_file: Path | None = None
    #: The log of a Postfix beside us: looked through before an unknown letter is sent again.
    mta_log: Path | None = None
    #: Exercises and demonstrations: everything goes to this mailbox; empty: to reserved domains (RFC 2606) only.
    exercise_mailbox: str = ""
    #: The share of each hop's letters that leaves first; then the campaign is held for a person. 0: all at once.
    canary_share: float = Field(0, ge=0, le=1)
    #: Held when this share of the letters is refused or comes back, counted from the given number on. 0: never.
    refusal_brake: float = Field(0.3, ge=0, le=1)
    refusal_brake_from: int = Field(20, ge=1)
    #: At half of the term, a hop of whose recipients a smaller share has answered counts as at risk.
    risk_share: float = Field(0.3, ge=0, le=1)
    #: Whether what happens is told to Prefect as events, for automations of the operators' own.
    events: bool = True
    #: Asked for (GET) after every round of the auditor that found nothing; who waits there for it in vain, raises
    #: the alarm. Empty: nobody waits.
    heartbeat_url: SecretStr = SecretStr("")
    #: Whoever shows it may read /metrics; empty: only from this machine itself.
    metrics_token: SecretStr = SecretStr("")
    #: Reverse proxies that may say for whom they speak (X-Forwarded-For): addresses or networks.
    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = (IPv4Network("127.0.0.1"), IPv6Network("::1"))
    #: Links stay valid this many days after they were made.
    link_days: int = Field(180, ge=1, le=3650)
    #: How long a process may hold work before another may take it over, in seconds.
    lease_s: int = Field(120, ge=5, le=3600)
    #: Deliveries of a campaign shown as Prefect runs; above this only tables.
    board_runs: int = Field(SQLITE_BOARD_RUNS, ge=0)
    #: The API of another Prefect server on the same database, for the board alone; empty: that of everything else.
    board_api_url: str = ""
    #: A session on the operators' pages ends after this many minutes without a request, and after this many hours.
    session_idle_min: int = Field(30, ge=1, le=24 * 60)
    session_hours: int = Field(10, ge=1, le=24)
    #: True: what one account has entered to issue a letter leaves only when a second account has approved it.
    issue_needs_two: bool = False
    #: Where people reach Prefect's UI, for links from the pages to its runs; empty: no links.
    prefect_url: str = ""
    demo: bool = False
    #: Lines for people, or JSON for a collector of logs.
    log: Literal["text", "json"] = "text"

    @field_validator("secret_keys", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("home", "config", "templates", "cascade", "letters", "dkim_key_file", "mta_log", mode="before")
    @classmethod
    def _named(cls, value: object, info: ValidationInfo) -> object:
        """An empty path is one that is not set: Path("") would be the working directory."""
        assert info.field_name is not None, "it validates fields"
        return cls.model_fields[info.field_name].get_default(call_default_factory=True) if value == "" else value

    @field_validator("mail_from")
    @classmethod
    def _with_room(cls, value: str) -> str:
        """Refused here: a mailbox that cannot bear what follows its + would let no mail leave at all."""
        from congvan.mail.address import TOKEN_OCTETS, verp_sender

        try:
            verp_sender(value, "0" * TOKEN_OCTETS)
        except (CongvanError, ValueError):
            told = "local@domain, with 18 octets before the @ at the most"
            raise PydanticCustomError("mailbox_of_ours", told) from None
        return value

    @cached_property
    def database(self) -> str:
        """The database's URL; a file under `home` unless one is set."""
        return self.database_url or f"sqlite+aiosqlite:///{self.home.resolve() / 'congvan.db'}"

    @property
    def cascade_file(self) -> Path:
        """Where the chain is described."""
        return self.cascade or self.config / "cascade.yaml"
