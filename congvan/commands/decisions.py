"""What an operator decides about one delivery: each act has a name and a reason, and leaves a line in the log."""

from __future__ import annotations

from typing import Literal

from congvan.commands import given
from congvan.commands.headings import part
from congvan.commands.session import opened
from congvan.commands.show import as_json, moment

_BEFORE = "từ trước, không có gì thay đổi"

case = part("case", "Trường hợp đã báo cáo lên trên: nhận xử lý.")


async def resend(
    delivery: str, /, *, to: str | None = None, why: str = "", by: str | None = None, json: bool = False
) -> None:
    """Gửi lại văn bản, có thể đến hộp thư khác; thời hạn giữ nguyên, đường dẫn cũ hết hiệu lực.

    Parameters
    ----------
    delivery
        Mã của nơi nhận trong đợt.
    to
        Hộp thư mới.
    why
        Lý do.
    by
        Họ tên người quyết định.
    json
        In kết quả dạng JSON.
    """
    from congvan.acts import deliveries as acts

    who, address = given.person(by), given.address(to, "--to")
    async with opened() as house:
        key = await acts.find(house, delivery)
        await acts.resend(house, key, who, address=address, why=why)
    _done("resend", key, delivery, "Sẽ gửi lại", json=json)


async def extend(delivery: str, /, *, until: str, why: str, by: str | None = None, json: bool = False) -> None:
    """Gia hạn; nơi nhận được báo bằng thư.

    Parameters
    ----------
    delivery
        Mã của nơi nhận trong đợt.
    until
        Thời hạn mới: "2024-02-20 17:00"; chỉ ghi ngày thì là 17:00.
    why
        Lý do.
    by
        Họ tên người quyết định.
    json
        In kết quả dạng JSON.
    """
    from congvan.acts import deliveries as acts
    from congvan.acts import extending

    who, due = given.person(by), given.until(until, "--until")
    reason = given.words(why, "--why", "lý do")
    async with opened() as house:
        key = await acts.find(house, delivery)
        await extending.extend(house, key, due, who, reason)
    _done("extend", key, delivery, f"Đã gia hạn đến {moment(due.isoformat())}", json=json)


async def exempt(delivery: str, /, *, why: str, by: str | None = None, json: bool = False) -> None:
    """Miễn báo cáo cho một nơi nhận.

    Parameters
    ----------
    delivery
        Mã của nơi nhận trong đợt.
    why
        Lý do.
    by
        Họ tên người quyết định.
    json
        In kết quả dạng JSON.
    """
    from congvan.acts import deliveries as acts

    who, reason = given.person(by), given.words(why, "--why", "lý do")
    async with opened() as house:
        key = await acts.find(house, delivery)
        done = await acts.exempt(house, key, who, reason)
    _done("exempt", key, delivery, "Đã miễn báo cáo" if done else f"Đã miễn báo cáo {_BEFORE}", json=json)


async def withdraw(delivery: str, /, *, why: str, by: str | None = None, json: bool = False) -> None:
    """Thu hồi văn bản đã gửi đến một nơi nhận.

    Parameters
    ----------
    delivery
        Mã của nơi nhận trong đợt.
    why
        Lý do.
    by
        Họ tên người quyết định.
    json
        In kết quả dạng JSON.
    """
    from congvan.acts import deliveries as acts

    who, reason = given.person(by), given.words(why, "--why", "lý do")
    async with opened() as house:
        key = await acts.find(house, delivery)
        done = await acts.withdraw(house, key, who, reason)
    _done("withdraw", key, delivery, "Đã thu hồi" if done else f"Đã thu hồi {_BEFORE}", json=json)


async def recalled(
    delivery: str,
    /,
    *,
    agreed: bool = False,
    why: str = "",
    by: str | None = None,
    channel: Literal["mail", "phone", "paper"] = "mail",
    json: bool = False,
) -> None:
    """Ghi nhận trả lời của nơi nhận về yêu cầu thu hồi: đồng ý (15), hoặc từ chối kèm lý do (16).

    Parameters
    ----------
    delivery
        Mã của nơi nhận trong đợt.
    agreed
        Nơi nhận đã hủy văn bản; không ghi: từ chối.
    why
        Lý do từ chối.
    by
        Họ tên người ghi nhận.
    channel
        mail: thư điện tử; phone: điện thoại; paper: văn bản giấy.
    json
        In kết quả dạng JSON.
    """
    from congvan.acts import deliveries as acts
    from congvan.acts import recalls

    who = given.person(by)
    if not agreed:
        given.words(why, "--why", "lý do từ chối")
    async with opened() as house:
        key = await acts.find(house, delivery)
        await recalls.answer(house, key, agreed=agreed, by=who, channel=channel, why=why)
    _done("recalled", key, delivery, "Đã ghi nhận: đồng ý thu hồi" if agreed else "Đã ghi nhận: từ chối", json=json)


@case.command
async def claim(delivery: str, /, *, by: str, note: str = "", next: str | None = None, json: bool = False) -> None:
    """Nhận xử lý trường hợp của một nơi nhận; có --next thì đến ngày ấy mới báo cáo lên bậc trên.

    Parameters
    ----------
    delivery
        Mã của nơi nhận trong đợt.
    by
        Họ tên người nhận xử lý.
    note
        Ghi chú.
    next
        Ngày xem lại: "2024-02-20 17:00"; chỉ ghi ngày thì là 17:00.
    json
        In kết quả dạng JSON.
    """
    from congvan.acts import deliveries as acts
    from congvan.acts import escalations

    who, later = given.person(by), given.until(next, "--next") if next else None
    async with opened() as house:
        key = await acts.find(house, delivery)
        await escalations.claim(house, key, who, note, later)
    _done("claim", key, delivery, "Đã nhận xử lý", json=json)


@case.command(name="note")
async def note_(delivery: str, words: str, /, *, by: str, json: bool = False) -> None:
    """Ghi việc đã làm về trường hợp của một nơi nhận: cuộc gọi, buổi làm việc.

    Parameters
    ----------
    delivery
        Mã của nơi nhận trong đợt.
    words
        Nội dung.
    by
        Họ tên người ghi.
    json
        In kết quả dạng JSON.
    """
    from congvan.acts import deliveries as acts
    from congvan.acts import escalations

    who, said = given.person(by), given.words(words, "WORDS", "nội dung")
    async with opened() as house:
        key = await acts.find(house, delivery)
        await escalations.note(house, key, who, said)
    _done("note", key, delivery, "Đã ghi", json=json)


@case.command
async def decide(delivery: str, /, *, why: str, by: str, json: bool = False) -> None:
    """Khép trường hợp bằng quyết định của người có thẩm quyền: không báo cáo tiếp lên trên; trả lời vẫn được nhận.

    Parameters
    ----------
    delivery
        Mã của nơi nhận trong đợt.
    why
        Lý do.
    by
        Họ tên người quyết định.
    json
        In kết quả dạng JSON.
    """
    from congvan.acts import deliveries as acts
    from congvan.acts import escalations

    who, reason = given.person(by), given.words(why, "--why", "lý do")
    async with opened() as house:
        key = await acts.find(house, delivery)
        await escalations.decide(house, key, who, reason)
    _done("decide", key, delivery, "Đã khép trường hợp", json=json)


def _done(act: str, key: str, code: str, words: str, *, json: bool) -> None:
    if json:
        as_json({"delivery": key, "done": act})
    else:
        print(f"{words}: {code}")
