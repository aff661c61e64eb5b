"""The house of one command: settings read, schema looked at, everything given back at the end."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from pydantic import ValidationError

from congvan.commands.show import note
from congvan.errors import BadInput, CongvanError, Fault, first_line
from congvan.settings import Settings

if TYPE_CHECKING:
    from congvan.house import House


#: Where settings stand.
_ENVIRONMENT = "môi trường hoặc .env"


class Unreachable(CongvanError):
    """The database cannot be used."""


def settings() -> Settings:
    """The settings from the environment; raise BadInput naming the variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        from congvan.registry.faults import explain

        raise BadInput(
            Fault(_ENVIRONMENT, f"CONGVAN_{'_'.join(map(str, one['loc'])).upper()}", *explain(one))
            for one in error.errors(include_url=False)
        ) from error


@contextmanager
def reading(name: str, form: str) -> Iterator[None]:
    """For a setting that is read only where it is used: refused by its name and form; it may hold a password."""
    try:
        yield
    except ValueError:
        raise BadInput([Fault(_ENVIRONMENT, name, "không đọc được", f"ghi dạng {form}")]) from None


def _with_demo(given: Settings) -> Settings:
    """The demo's house, where nothing but a demo has been played here."""
    own = {"CONGVAN_HOME", "CONGVAN_DATABASE_URL"} & os.environ.keys() or given.database_url
    demo = given.home / "demo"
    if own or (given.home / "congvan.db").exists() or not (demo / "congvan.db").exists():
        return given
    note(f"(bản diễn ở {demo}; đặt CONGVAN_HOME để dùng nơi khác)")
    return Settings(home=demo)


def built(given: Settings, *, gives_way: bool = False) -> House:
    """The house of these settings (gives_way: `build`); raise BadInput or Unreachable where they do not make one."""
    from sqlalchemy.exc import SQLAlchemyError

    from congvan.almanac import read_calendar_file
    from congvan.house import build

    read_calendar_file(given.config / "calendar.yaml")
    try:
        with reading("CONGVAN_DATABASE_URL", "postgresql+asyncpg://NGƯỜI:MẬT-KHẨU@MÁY:CỔNG/TÊN"):
            return build(given, gives_way=gives_way)
    except (SQLAlchemyError, ImportError) as error:
        raise Unreachable(f"CONGVAN_DATABASE_URL không dùng được: {first_line(error)} → congvan doctor") from error


@asynccontextmanager
async def opened(*, real: bool = False) -> AsyncIterator[House]:
    """A house whose database has the schema of this program.

    An empty database gets it; raise Unreachable with a remedy where it stands elsewhere. real: for acts
    that begin something of their own, which must never fall into a demo that was played here.
    """
    given = settings()
    house = built(given if real else _with_demo(given))
    try:
        await _ready(house)
        if not house.settings.demo and await _has_demo_clock(house):
            await house.close()
            house = built(Settings.model_validate(house.settings.model_dump() | {"demo": True}))
        yield house
    finally:
        await house.close()


async def _ready(house: House) -> None:
    from sqlalchemy.exc import SQLAlchemyError

    from congvan.store.schema import migrate, versions

    try:
        present, needed = await versions(house.store)
        if present is None:
            await migrate(house.store)
            present = needed
    except (SQLAlchemyError, OSError) as error:
        where = house.store.url.render_as_string(hide_password=True)
        raise Unreachable(f"không dùng được cơ sở dữ liệu {where} ({first_line(error)}) → congvan doctor") from error
    if present != needed:
        raise Unreachable(f"cơ sở dữ liệu ở phiên bản {present}, chương trình cần {needed} → chạy: congvan migrate")


async def _has_demo_clock(house: House) -> bool:
    from congvan.clock import DemoClock

    async with house.store.view() as ledger:
        return await ledger.note(DemoClock.NOTE) is not None
