"""`congvan letter draft`, `trial` and `render`: the paper for the signer, and a look before anything leaves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from congvan.commands import given
from congvan.commands.session import opened, reading
from congvan.commands.show import place, save
from congvan.errors import ActRefused

if TYPE_CHECKING:
    from congvan.house import House
    from congvan.letters.sheet import Sheet


async def draft(letter: str, /, *, out: Path, number: str = "", date: str = "") -> None:
    """Lấy dự thảo của một văn bản đang chờ ban hành, để trình ký; .docx để sửa trong Word.

    Parameters
    ----------
    letter
        Mã của văn bản, xem ở congvan letters.
    out
        Tệp .pdf hoặc .docx sẽ ghi.
    number
        Số văn bản, nếu đã có.
    date
        Ngày ban hành, nếu đã có: 2023-12-01 hoặc 01/12/2023.
    """
    from congvan.acts import letters

    kind = out.suffix.lower()
    if kind not in (".pdf", ".docx"):
        raise given.refuse("--out", f"không ghi được «{out.name}»", "ghi tên tệp có đuôi .pdf hoặc .docx", str(out))
    place(out)
    written = given.letter_number(number, "--number") if number else ""
    day = given.day(date, "--date") if date else None
    async with opened() as house:
        sheet = await letters.sheet_to_sign(house, letter, written, day)
        save(out, word_copy(house, sheet) if kind == ".docx" else house.press.render(sheet).pdf)


async def trial(plan: Path, /, *, recipient: str, to: str) -> None:
    """Gửi thử: nguyên văn thư của một nơi nhận đến hộp thư của người phụ trách; chưa khởi động đợt nào.

    Parameters
    ----------
    plan
        Tệp kế hoạch .yaml.
    recipient
        Mã của nơi nhận.
    to
        Hộp thư của người phụ trách.
    """
    from congvan.acts import trial as acts
    from congvan.acts.launches import Launch
    from congvan.house import carrier
    from congvan.reading import lines_of, read_cascade, read_plan

    address = given.address(to, "--to")
    assert address is not None, "it was named"
    read, _ = read_plan(plan)
    async with opened() as house:
        cascade = read_cascade(house.settings.cascade_file)
        order = Launch(read, cascade, "exercise", "", plan.parent, str(plan), lines_of(plan))
        with reading("CONGVAN_SMTP_URL", "smtp://NGƯỜI:MẬT-KHẨU@MÁY:CỔNG?tls=starttls"):
            sender = carrier(house.settings)
        outcome = await acts.send(house, sender, order, recipient, address)
    if outcome.verdict != "accepted":
        raise ActRefused(f"máy chủ thư không nhận: {outcome.reply or outcome.verdict} → congvan doctor")
    print(f"Đã gửi thử đến {address}.")


async def render(
    plan: Path,
    /,
    *,
    issuer: str,
    out: Path,
    mode: Literal["live", "exercise", "demo"] = "live",
) -> None:
    """Xem trước văn bản của một đơn vị theo kế hoạch; không gửi, không ghi gì vào cơ sở dữ liệu.

    Parameters
    ----------
    plan
        Tệp kế hoạch .yaml.
    issuer
        Mã của đơn vị ban hành hoặc chuyển tiếp.
    out
        Tệp .pdf, .html hoặc .docx sẽ ghi.
    mode
        exercise, demo: in dòng "BẢN MINH HỌA".
    """
    from congvan.commands import preview

    kind = out.suffix.lower()
    if kind not in (".pdf", ".html", ".docx"):
        raise given.refuse("--out", f"không ghi được «{out.name}»", "ghi đuôi .pdf, .html hoặc .docx", str(out))
    place(out)
    async with opened() as house:
        sheet = await preview.sheet(house, plan, issuer, illustration=mode != "live")
        rendered = house.press.render(sheet)
        if kind == ".docx":
            save(out, word_copy(house, sheet))
            return
    save(out, rendered.pdf if kind == ".pdf" else preview.page(rendered).encode())


def word_copy(house: House, sheet: Sheet) -> bytes:
    """The same letter as .docx; raise NothingInstalled without a template."""
    from congvan.letters import word
    from congvan.letters.press import Press

    assert isinstance(house.press, Press), "the house that commands build prints real pages"
    return word.document(house.press, sheet)
