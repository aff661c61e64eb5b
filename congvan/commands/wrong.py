"""What was typed wrongly, in the words of the person who typed it."""

from __future__ import annotations

from typing import Any

from cyclopts import exceptions as typed

from congvan.errors import Fault


def fault_of(error: typed.CycloptsError) -> Fault:
    """The fault behind a parse error."""
    chain = " ".join(error.command_chain or ())
    command = f"congvan {chain}".strip()
    return Fault(command, _field(error), _message(error), f"xem: {command} --help")


def _field(error: typed.CycloptsError) -> str:
    token: Any = getattr(error, "token", None)
    keyword = getattr(token, "keyword", None) if token is not None else None
    if keyword:
        return str(keyword)
    if error.argument is not None:
        names = error.argument.names
        return str(names[0]) if names and names[0].startswith("-") else error.argument.field_info.name.upper()
    return ""


def _message(error: typed.CycloptsError) -> str:
    match error:
        case typed.UnknownOptionError() if error.token is not None:
            return f"không có tùy chọn «{error.token.keyword or error.token.value}»"
        case typed.UnknownCommandError() if error.unused_tokens:
            return f"không có lệnh «{error.unused_tokens[0]}»"
        case typed.MissingArgumentError():
            return "còn thiếu" if not error.tokens_so_far else "thiếu giá trị"
        case typed.UnusedCliTokensError() if error.unused_tokens:
            return f"thừa «{' '.join(error.unused_tokens)}»"
        case typed.RepeatArgumentError():
            return "được viết hai lần"
        case typed.CoercionError() if error.token is not None:
            return f"«{error.token.value}» không dùng được ({error.msg or _plain(error)})"
        case _:
            return _plain(error)


def _plain(error: typed.CycloptsError) -> str:
    return " ".join(str(error).split())
