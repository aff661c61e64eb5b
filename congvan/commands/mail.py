"""`congvan mail …`, `history`, `reconcile`: what left, what came back, and of what nobody knows."""

from __future__ import annotations

from typing import Any

from congvan.commands import given
from congvan.commands.headings import part
from congvan.commands.session import opened, reading
from congvan.commands.show import as_json, moment, table
from congvan.rules.labels import ACTORS, CHANNELS, DELIVERY_STATES, EVENTS, INCOMING, MAIL_KINDS, OUTCOMES

app = part("mail", "Thư: hộp thư đến, thư chưa rõ kết quả.")

@app.command
async def inbox(*, json: bool = False) -> None:
    """Đọc hộp thư đến ngay bây giờ, rồi liệt kê những thư chưa rõ thuộc nơi nhận nào.

    Thư trả lời và báo lỗi về thư gửi các phòng, ban (bản tổng hợp, bản sao, báo cáo…) cũng có trong danh sách.

    Parameters
    ----------
    json
        In {"read": …, "unplaced": […]}.
    """
    from congvan.acts import inbox as acts

    async with opened() as house:
        with reading("CONGVAN_IMAP_URL", "imaps://NGƯỜI:MẬT-KHẨU@MÁY/THƯ-MỤC"):
            mailbox = acts.configured(house)
        read = dict(await acts.read(house, mailbox)) if mailbox is not None else None
        found = await acts.unplaced(house)
    if json:
        as_json({"read": read, "unplaced": found})
        return
    if read is None:
        print("Chưa đặt CONGVAN_IMAP_URL: không đọc hộp thư nào.")
    else:
        new = sorted((kind, number) for kind, number in read.items() if kind != "again")
        counted = ", ".join(f"{INCOMING.get(kind, kind)} {number}" for kind, number in new)
        print(f"Đã đọc hộp thư: {counted or 'không có thư mới'}.")
    table(
        ["Nhận lúc", "Loại", "Người gửi", "Tiêu đề", "Nội dung"],
        [[moment(one["read_at"].isoformat()), INCOMING.get(one["kind"], one["kind"]), one["sender"], one["subject"],
          " ".join(one["text"].split())[:120]] for one in found],
    )  # fmt: skip


@app.command
async def unknown(*, json: bool = False) -> None:
    """Những thư chưa rõ máy chủ đã nhận hay chưa; chúng được gửi lại với cùng Message-ID.

    Parameters
    ----------
    json
        In mỗi dòng một đối tượng JSON.
    """
    from congvan.acts import reconciling

    async with opened() as house:
        found = await reconciling.unknown(house)
    if json:
        for one in found:
            as_json(one)
        return
    table(
        ["Thư", "Đợt", "Loại", "Số lần chưa rõ", "Message-ID"],
        [
            [one["id"], one["code"] or "", MAIL_KINDS.get(one["kind"], one["kind"]), one["unknown"], one["message_id"]]
            for one in found
        ],
    )


async def history(delivery: str, /, *, json: bool = False) -> None:
    """Toàn bộ lịch sử của một nơi nhận: từng lần gửi và câu trả lời của máy chủ, thư đến, sự kiện.

    Parameters
    ----------
    delivery
        Mã của nơi nhận trong đợt.
    json
        In một đối tượng JSON.
    """
    from congvan.acts import deliveries as acts
    from congvan.acts import history as told

    async with opened() as house:
        found = await told.history(house, await acts.find(house, delivery))
    if json:
        as_json(found)
        return
    own = found["delivery"]
    print(f"{own['code']}  {DELIVERY_STATES.get(own['state'], own['state'])}  {own['address'] or ''}".rstrip())
    table(["Lúc", "Việc", "Chi tiết"], [[moment(at), what, more] for at, what, more in sorted(_lines(found))])


def _lines(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    lines = []
    for message in found["messages"]:
        kind = MAIL_KINDS.get(message["kind"], message["kind"])
        for one in message["attempts"]:
            end = OUTCOMES.get(one["outcome"] or "unknown", one["outcome"]) if one["finished_at"] else "đang gửi"
            lines.append(
                (one["started_at"].isoformat(), f"{kind}, gửi lần {one['ordinal']}: {end}",
                 f"{one['address']} {one['reply'] or ''}".strip())
            )  # fmt: skip
    for one in found["incoming"]:
        said = " ".join((one["text"] or one["diagnostic"]).split())[:200]
        lines.append((one["read_at"].isoformat(), f"thư đến: {INCOMING.get(one['kind'], one['kind'])}", said))
    for one in found["events"]:
        actor = one["actor"] or ""
        by = f"{ACTORS.get(actor, actor)} {CHANNELS.get(one['channel'] or '', one['channel'] or '')}".strip()
        lines.append((one["at"].isoformat(), EVENTS.get(one["kind"], one["kind"]), by))
    return lines


async def reconcile(
    *, resend: bool = False, assume_sent: bool = False, by: str | None = None, json: bool = False
) -> None:
    """Sau khi khôi phục cơ sở dữ liệu từ bản sao lưu: quyết định về những thư có thể đã gửi.

    Parameters
    ----------
    resend
        Gửi lại với cùng Message-ID.
    assume_sent
        Coi như đã gửi; ai im lặng vẫn được nhắc và báo cáo.
    by
        Họ tên người quyết định.
    json
        In kết quả dạng JSON.
    """
    from congvan.acts import reconciling

    if resend == assume_sent:
        raise given.refuse("--resend", "phải chọn đúng một cách", "ghi --resend hoặc --assume-sent")
    who = given.person(by)
    async with opened() as house:
        done = await reconciling.reconcile(house, who, resend=resend)
    if json:
        as_json(done)
        return
    print(
        f"Đã đối chiếu: {done['in_log']} thư có trong nhật ký máy chủ thư, {done['resent']} thư sẽ gửi lại, "
        f"{done['assumed']} thư coi như đã gửi. Hệ thống gửi thư trở lại."
    )
