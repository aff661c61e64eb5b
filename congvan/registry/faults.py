"""Validation errors of records, put into words that a clerk can act on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

from pydantic_core import ErrorDetails

from congvan.rules.records import NOTATION, NUMBER

_Wording = tuple[str, str]


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that was probably meant, or an empty text."""
    by_lower = {one.lower(): one for one in known}
    found = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else ""


def meant(word: str, known: Iterable[str]) -> str:
    """ " (có phải «…»?)" where something near is known, else an empty text."""
    near = nearest(word, known)
    return f" (có phải «{near}»?)" if near else ""


def shown(value: object, longest: int = 60) -> str:
    """A value as a message quotes it: one line, cut."""
    text = " ".join(str(value).split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def explain(error: ErrorDetails, known: Iterable[str] = ()) -> _Wording:
    """Message and remedy for one validation error; `known` are field names that could have been meant."""
    kind, value, ctx = error["type"], error["input"], error.get("ctx", {})
    if kind == "extra_forbidden":
        name = str(error["loc"][-1])
        return f"mục «{shown(name)}» không có trong mẫu", f"xóa mục này hoặc sửa tên{meant(name, known)}"
    if kind in _WORDINGS:
        return _WORDINGS[kind](value, ctx)
    return f"giá trị «{shown(value)}» không hợp lệ", f"sửa lại giá trị ({error['msg']})"


def _missing(_: object, __: dict[str, Any]) -> _Wording:
    return "chưa điền", "điền giá trị; mục này là bắt buộc"


def _text(value: object, _: dict[str, Any]) -> _Wording:
    return f"phải là chữ, không phải {_kind(value)}", "viết thành một dòng chữ, đặt trong dấu nháy nếu cần"


def _number(value: object, _: dict[str, Any]) -> _Wording:
    return f"«{shown(value)}» không phải là số nguyên", "ghi một số nguyên, ví dụ 5"


def _date(value: object, _: dict[str, Any]) -> _Wording:
    return (
        f"«{shown(value)}» không phải là một ngày có thật",
        "ghi ngày theo dạng năm-tháng-ngày, ví dụ 2023-11-29",
    )


def _time(value: object, _: dict[str, Any]) -> _Wording:
    return f"«{shown(value)}» không phải là giờ", 'ghi giờ theo dạng "17:00"'


def _flag(value: object, _: dict[str, Any]) -> _Wording:
    return f"«{shown(value)}» không phải là có hoặc không", "ghi true hoặc false"


def _pattern(value: object, ctx: dict[str, Any]) -> _Wording:
    pattern = str(ctx.get("pattern", ""))
    return f"«{shown(value)}» sai quy cách", _PATTERNS.get(pattern, f"viết theo mẫu {pattern}")


def _choice(value: object, ctx: dict[str, Any]) -> _Wording:
    allowed = str(ctx.get("expected", "")).replace(" or ", ", ").replace("'", "")
    near = meant(str(value), [one.strip() for one in allowed.split(",")])
    return f"«{shown(value)}» không có trong danh sách", f"chọn một trong: {allowed}{near}"


def _short(_: object, __: dict[str, Any]) -> _Wording:
    return "để trống", "điền ít nhất một giá trị"


def _long(value: object, ctx: dict[str, Any]) -> _Wording:
    most = ctx.get("max_length")
    return f"dài {len(str(value))} ký tự, nhiều nhất là {most}", f"rút ngắn còn không quá {most} ký tự"


def _group(value: object, _: dict[str, Any]) -> _Wording:
    return (
        f"phải là một nhóm mục, không phải {_kind(value)}",
        "viết các mục con thụt vào bên dưới, mỗi mục một dòng",
    )


def _list(value: object, _: dict[str, Any]) -> _Wording:
    return f"phải là một danh sách, không phải {_kind(value)}", 'viết mỗi phần tử một dòng, bắt đầu bằng "- "'


def _least(value: object, ctx: dict[str, Any]) -> _Wording:
    return f"«{shown(value)}» quá nhỏ", f"ghi số không nhỏ hơn {ctx.get('ge')}"


def _most(value: object, ctx: dict[str, Any]) -> _Wording:
    return f"«{shown(value)}» quá lớn", f"ghi số không lớn hơn {ctx.get('le')}"


def _rule(_: object, ctx: dict[str, Any]) -> _Wording:
    return str(ctx.get("error", "không hợp lệ")), "sửa theo quy định vừa nêu"


def _kind(value: object) -> str:
    if isinstance(value, dict):
        return "một nhóm mục"
    if isinstance(value, list | tuple):
        return "một danh sách"
    return f"«{shown(value)}»"


#: What the patterns of the records mean, by pattern.
_PATTERNS = {
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$": (
        "mã chỉ gồm chữ không dấu, chữ số, dấu chấm, gạch ngang và gạch dưới; không quá 40 ký tự"
    ),
    NUMBER: "số văn bản gồm 1–6 chữ số, có thể thêm một chữ thường, ví dụ 125 hoặc 125a",
    NOTATION: "ký hiệu bắt đầu bằng chữ in hoa, không có dấu cách, ví dụ VP-TH hoặc QĐ-TTg",
    r"^[0-9]{0,10}$": "số đến chỉ gồm chữ số",
}

def _our_mailbox(value: object, _: dict[str, Any]) -> _Wording:
    remedy = "ghi riêng địa chỉ, phần trước @ không quá 18 byte (sau nó là +mã nơi nhận), ví dụ vanthu@bql.example"
    return f"«{shown(value)}» không dùng được làm hộp thư gửi", remedy


_WORDINGS: dict[str, Callable[[object, dict[str, Any]], _Wording]] = {
    "missing": _missing,
    "string_type": _text,
    "string_pattern_mismatch": _pattern,
    "string_too_short": _short,
    "string_too_long": _long,
    "too_short": _short,
    "too_long": _long,
    "enum": _choice,
    "literal_error": _choice,
    "model_type": _group,
    "model_attributes_type": _group,
    "dict_type": _group,
    "tuple_type": _list,
    "list_type": _list,
    "greater_than_equal": _least,
    "less_than_equal": _most,
    "value_error": _rule,
    "mailbox_of_ours": _our_mailbox,
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), _number),
    **dict.fromkeys(("date_type", "date_parsing", "date_from_datetime_parsing"), _date),
    **dict.fromkeys(("date_from_datetime_inexact",), _date),
    **dict.fromkeys(("time_type", "time_parsing"), _time),
    **dict.fromkeys(("bool_type", "bool_parsing"), _flag),
}
