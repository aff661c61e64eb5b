"""`congvan up`, `simulate`, `migrate`, `doctor`: the engine itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from congvan.commands import given
from congvan.commands.session import Unreachable, built, settings
from congvan.commands.show import as_json
from congvan.errors import first_line


def up(
    *,
    demo: bool = False,
    speed: float = 0.0,
    exit_: Annotated[bool, Parameter(name="--exit")] = False,
    home: Path | None = None,
) -> int:
    """Chạy tất cả trên một máy: máy chủ Prefect, luồng, trang. Ctrl-C để dừng.

    Parameters
    ----------
    demo
        Diễn một đợt mẫu: hộp thư giả, nơi nhận tự trả lời, đồng hồ nhanh.
    speed
        Nhiều nhất bao nhiêu bước nhảy của đồng hồ trong một giây; 0: nhanh hết mức.
    exit_
        Kết thúc khi đợt đã kết thúc.
    home
        Thư mục dữ liệu.
    """
    if speed < 0:
        raise given.refuse("--speed", f"{speed:g} bước một giây", "ghi 0 hoặc một số dương")
    if home is not None:
        os.environ["CONGVAN_HOME"] = str(home)
    settings()
    from congvan.up import main

    return main(demo=demo, speed=speed, exit_=exit_)


def simulate(*, seed: given.Whole = 1, tenants: given.Whole = 100, days: given.Whole = 45, json: bool = False) -> int:
    """Diễn toàn bộ quy trình trong thời gian giả, có lỗi, và kiểm tra các bất biến.

    Parameters
    ----------
    seed
        Cùng một số thì diễn ra y hệt.
    tenants
        Số doanh nghiệp.
    days
        Số ngày.
    json
        In kết quả dạng JSON.
    """
    for field, number in (("--tenants", tenants), ("--days", days)):
        if number < 1:
            raise given.refuse(field, f"{number} quá nhỏ", "ghi một số từ 1")
    from congvan.simulate import main

    return int(main(seed, tenants, days, json))


async def migrate() -> None:
    """Nâng cơ sở dữ liệu lên phiên bản mà chương trình cần."""
    from alembic.util import CommandError
    from sqlalchemy.exc import SQLAlchemyError

    from congvan.store import schema

    house = built(settings())
    try:
        before, needed = await schema.versions(house.store)
        await schema.migrate(house.store)
    except CommandError as error:
        raise Unreachable(
            f"cơ sở dữ liệu ở phiên bản {before} mà chương trình không biết → nâng cấp chương trình"
        ) from error
    except (SQLAlchemyError, OSError) as error:
        raise Unreachable(f"không nâng được cơ sở dữ liệu ({first_line(error)}) → congvan doctor") from error
    finally:
        await house.close()
    print(f"Cơ sở dữ liệu ở phiên bản {needed}" + ("." if before == needed else f" (trước đây: {before or 'trống'})."))


async def doctor(*, json: bool = False) -> int:
    """Kiểm tra cấu hình, cơ sở dữ liệu, thư, Prefect, đồng hồ, khóa; mỗi dòng OK, WARN hoặc FAULT kèm cách sửa.

    Parameters
    ----------
    json
        In {"checks": […]}.
    """
    from congvan.doctor.examine import examine

    found = await examine()
    if json:
        as_json({"checks": [one.as_dict() for one in found]})
    else:
        for one in found:
            print(one)
    return 0 if all(one.good for one in found) else 1
