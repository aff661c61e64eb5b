"""`congvan operator`: the accounts of the operators' pages. Passwords are asked for, never arguments."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Literal

from congvan.commands import given
from congvan.commands.headings import part
from congvan.commands.session import opened
from congvan.commands.show import as_json, table
from congvan.rules.labels import ROLES

if TYPE_CHECKING:
    from congvan.acts.accounts import Account

app = part("operator", "Tài khoản của trang cán bộ: mở, liệt kê, đặt mật khẩu, khóa, mở lại.")


@app.command
async def add(
    name: str,
    /,
    *,
    role: Literal["viewer", "operator", "leader"],
    full_name: str = "",
    email: str | None = None,
) -> None:
    """Mở tài khoản; mật khẩu hỏi trên màn hình, hoặc đọc một dòng từ stdin.

    Parameters
    ----------
    name
        Tên đăng nhập: chữ thường không dấu, chữ số, dấu . _ -
    role
        viewer: chỉ xem; operator: ghi nhận, gửi lại, gia hạn…; leader: thêm thu hồi, kết thúc, miễn hàng loạt.
    full_name
        Họ tên.
    email
        Hộp thư nhận thư gửi thử.
    """
    from congvan.acts import accounts

    account = accounts.Account(
        accounts.plain_name(name), full_name.strip(), accounts.Role(role), given.address(email, "--email") or ""
    )
    async with opened(real=True) as house:
        await accounts.add(house, account, _password())
    print(f"Đã mở tài khoản {account.name}.")


@app.command(name="list")
async def list_(*, json: bool = False) -> None:
    """Các tài khoản.

    Parameters
    ----------
    json
        In dạng JSON.
    """
    from congvan.acts import accounts

    async with opened() as house:
        found = await accounts.listed(house)
    if json:
        as_json([_line(one) for one in found])
        return
    states = {"open": "", "disabled": "đã khóa", "locked": "tạm khóa do sai mật khẩu"}
    rows = [
        [one.name, one.full_name, ROLES[one.role.value], one.email, states[_state(one.disabled, one.locked)]]
        for one in found
    ]
    table(["Tên", "Họ tên", "Vai trò", "Hộp thư", ""], rows)


def _line(one: Account) -> dict[str, str]:
    state = _state(one.disabled, one.locked)
    return {"name": one.name, "role": one.role.value, "email": one.email, "state": state}


def _state(disabled: bool, locked: bool) -> str:
    return "disabled" if disabled else "locked" if locked else "open"


@app.command
async def password(name: str, /) -> None:
    """Đặt mật khẩu mới; mọi phiên đang mở của tài khoản kết thúc.

    Parameters
    ----------
    name
        Tên đăng nhập.
    """
    from congvan.acts import accounts

    async with opened() as house:
        await accounts.set_password(house, name, _password())
    print("Đã đặt mật khẩu mới.")


@app.command
async def role(name: str, role: Literal["viewer", "operator", "leader"], /) -> None:
    """Đổi vai trò.

    Parameters
    ----------
    name
        Tên đăng nhập.
    role
        viewer, operator hoặc leader.
    """
    from congvan.acts import accounts

    async with opened() as house:
        await accounts.set_role(house, name, accounts.Role(role))
    print("Đã đổi vai trò.")


@app.command
async def email(name: str, address: str, /) -> None:
    """Đặt hộp thư nhận thư gửi thử.

    Parameters
    ----------
    name
        Tên đăng nhập.
    address
        Hộp thư.
    """
    from congvan.acts import accounts

    to = given.address(address, "ADDRESS") or ""
    async with opened() as house:
        await accounts.set_email(house, name, to)
    print("Đã đặt hộp thư.")


@app.command
async def disable(name: str, /) -> None:
    """Khóa một tài khoản; phiên đang mở kết thúc, việc đã làm vẫn ghi tên.

    Parameters
    ----------
    name
        Tên đăng nhập.
    """
    from congvan.acts import accounts

    async with opened() as house:
        await accounts.disable(house, name)
    print("Đã khóa.")


@app.command
async def unlock(name: str, /) -> None:
    """Mở lại một tài khoản bị khóa.

    Parameters
    ----------
    name
        Tên đăng nhập.
    """
    from congvan.acts import accounts

    async with opened() as house:
        await accounts.unlock(house, name)
    print("Đã mở lại.")


def _password() -> str:
    """Typed twice on a terminal, else one line of stdin; raise BadInput where the two differ."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Mật khẩu: ")
    if first != getpass.getpass("Nhập lại: "):
        raise given.refuse("mật khẩu", "hai lần nhập khác nhau", "nhập lại")
    return first
