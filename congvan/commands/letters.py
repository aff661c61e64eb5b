"""`congvan letters` and `congvan letter`: what was drafted and issued, and a look before anything leaves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclopts import App

from congvan.commands import given
from congvan.commands.session import opened
from congvan.commands.show import LETTER_STATES, as_json, place, save, table
from congvan.errors import ActRefused

if TYPE_CHECKING:
    from congvan.house import House
    from congvan.letters.sheet import Sheet
    from congvan.store.tables import Letter

app = App(name="letter", help="Một văn bản: ban hành, xem trước, lấy dự thảo, gửi thử.")
for _name in ("draft", "trial"):
    app.command(f"congvan.commands.papers:{_name}", name=_name)


async def letters(campaign: str, /, *, json: bool = False) -> None:
    """Các văn bản của một đợt.

    Parameters
    ----------
    campaign
        Mã của đợt.
    json
        In dạng JSON.
    """
    from congvan.acts import letters as acts

    async with opened() as house:
        found = await acts.of_campaign(house, campaign)
    if json:
        as_json(found)
        return
    table(
        ["Mã", "Đơn vị", "Loại", "Tình trạng", "Số, ký hiệu", "Ngày", "Đang chờ"],
        [
            [
                one["id"], one["issuer"], one["kind"], LETTER_STATES.get(one["state"], one["state"]), one["number"],
                one["date"], one["awaits"],
            ]
            for one in found
        ],
    )  # fmt: skip


@app.command
async def issue(
    letter: str,
    /,
    *,
    number: str,
    date: str,
    signed: Path | None = None,
    paper_scan: bool = False,
    accept_differences_by: str = "",
    by: str | None = None,
    json: bool = False,
) -> None:
    """Ban hành một văn bản đang chờ. Tệp đã ký được đối chiếu với dự thảo và được gửi nguyên vẹn.

    Parameters
    ----------
    letter
        Mã của văn bản, xem ở congvan letters.
    number
        Số văn bản.
    date
        Ngày ban hành.
    signed
        Tệp PDF đã ký.
    paper_scan
        Tệp là bản quét của bản giấy, không có chữ ký số.
    accept_differences_by
        Họ tên người đã xem và chấp nhận chỗ khác với dự thảo.
    by
        Họ tên văn thư.
    json
        In kết quả dạng JSON.
    """
    upload = Upload(number, date, signed, by, paper_scan=paper_scan, accepted_by=accept_differences_by)
    async with opened() as house:
        await issue_one(house, letter, upload, json=json)


@app.command
async def approve(letter: str, /, *, by: str, json: bool = False) -> None:
    """Duyệt nội dung người khác đã nhập để ban hành (CONGVAN_ISSUE_NEEDS_TWO).

    Parameters
    ----------
    letter
        Mã của văn bản, xem ở congvan letters.
    by
        Họ tên người duyệt, khác người đã nhập.
    json
        In kết quả dạng JSON.
    """
    from congvan.acts import clerks

    who = given.person(by)
    async with opened() as house:
        _say_issued(await clerks.approve(house, letter, who), json=json)


@app.command
async def recall(letter: str, /, *, why: str, by: str, json: bool = False) -> None:
    """Thu hồi một văn bản đã ban hành từ mọi nơi đã nhận (NĐ 30/2020 Điều 18); họ được đề nghị hủy và báo lại.

    Parameters
    ----------
    letter
        Mã của văn bản, xem ở congvan letters.
    why
        Lý do.
    by
        Họ tên người quyết định.
    json
        In kết quả dạng JSON.
    """
    from congvan.acts import recalls

    who, reason = given.person(by), given.words(why, "--why", "lý do")
    async with opened() as house:
        asked = await recalls.recall(house, letter, who, reason)
    if json:
        as_json({"letter": letter, "asked": asked})
    else:
        print(f"Đã thu hồi; {asked} nơi nhận được đề nghị hủy văn bản → congvan letter replace {letter} PLAN.yaml")


@app.command
async def replace(letter: str, plan: Path, /, *, why: str, by: str, json: bool = False) -> None:
    """Soạn văn bản thay thế và trình ban hành; văn bản mới viện dẫn văn bản cũ.

    Parameters
    ----------
    letter
        Mã của văn bản cũ, xem ở congvan letters.
    plan
        Tệp kế hoạch .yaml có lời văn mới (mục letter).
    why
        Lý do.
    by
        Họ tên người quyết định.
    json
        In kết quả dạng JSON.
    """
    from congvan.acts import amending
    from congvan.reading import read_plan

    who, reason = given.person(by), given.words(why, "--why", "lý do")
    words = read_plan(plan)[0].letter
    async with opened() as house:
        made = await amending.replace(house, letter, words, who, reason)
    _submitted(made, json=json)


@app.command
async def correct(
    letter: str, /, *, wrong: list[str], right: list[str], by: str, why: str = "", json: bool = False
) -> None:
    """Soạn công văn đính chính và trình ban hành; thời hạn và trả lời không thay đổi.

    Parameters
    ----------
    letter
        Mã của văn bản, xem ở congvan letters.
    wrong
        Chỗ đã in; ghi nhiều lần cho nhiều chỗ.
    right
        Chỗ đính chính, theo thứ tự của --wrong.
    by
        Họ tên người quyết định.
    why
        Lý do.
    json
        In kết quả dạng JSON.
    """
    from congvan.acts import amending

    who = given.person(by)
    if len(wrong) != len(right):
        raise given.refuse("--right", "số chỗ đính chính khác số chỗ đã in", "mỗi --wrong cần một --right")
    slips = [amending.Slip(*pair) for pair in zip(wrong, right, strict=True)]
    async with opened() as house:
        made = await amending.correct(house, letter, slips, who, why)
    _submitted(made, json=json)


def _submitted(letter: str, *, json: bool) -> None:
    if json:
        as_json({"letter": letter})
    else:
        print(f"Đã trình ban hành: {letter} → congvan letter draft {letter} --out FILE.pdf")


@dataclass(frozen=True, slots=True)
class Upload:
    """What was typed to issue a letter."""

    number: str
    date: str
    signed: Path | None
    by: str | None
    paper_scan: bool = False
    accepted_by: str = ""


async def issue_one(house: House, letter: str, upload: Upload, *, json: bool) -> None:
    """Issue a waiting letter and say what it became; raise ActRefused where it already bears another number.

    Where two persons are needed, what the first has entered waits for `congvan letter approve`.
    """
    from sqlalchemy.exc import IntegrityError

    from congvan.acts import clerks
    from congvan.acts import letters as acts

    issued_on = given.day(upload.date, "--date")
    today = await _today(house)
    if issued_on.isoformat() > today:
        raise given.refuse("--date", f"ngày {upload.date} còn ở phía trước", f"ghi ngày ban hành, không sau {today}")
    entered = acts.Issued(
        given.letter_number(upload.number, "--number"), issued_on, given.person(upload.by),
        given.pdf(upload.signed, "--signed"), upload.paper_scan, upload.accepted_by,
    )  # fmt: skip
    try:
        two = house.settings.issue_needs_two
        made = await (clerks.enter if two else acts.issue)(house, letter, entered)
    except IntegrityError as error:
        raise ActRefused(f"số {entered.number} đã có văn bản khác trong năm {issued_on.year} mang") from error
    if made is None:
        if json:
            as_json({"letter": letter, "state": "PENDING_ISSUE"})
        else:
            print(f"Đã ghi nhận; chờ người thứ hai duyệt → congvan letter approve {letter} --by HỌ_TÊN")
        return
    digits = int("".join(letter for letter in entered.number if letter.isdigit()))
    if (made.number, made.issued_on) != (digits, issued_on):
        raise ActRefused(f"văn bản này đã được ban hành: số {made.symbol} ngày {made.issued_on}")
    _say_issued(made, json=json)


def _say_issued(made: Letter, *, json: bool) -> None:
    assert made.issued_on is not None, "an issued letter has a date"
    said = {
        "letter": made.id, "state": made.state, "number": made.symbol, "date": made.issued_on.isoformat(),
        "sha256": made.sha256,
    }  # fmt: skip
    if json:
        as_json(said)
    else:
        print(f"Đã ban hành: số {made.symbol} ngày {made.issued_on:%d/%m/%Y}.")


async def _today(house: House) -> str:
    from congvan.rules.calendar import local

    return local(await house.clock.now()).date().isoformat()


@app.command
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
    """The same letter as .docx; raise NothingInstalled without the extra `word`."""
    from congvan.letters import word
    from congvan.letters.press import Press

    assert isinstance(house.press, Press), "the house that commands build prints real pages"
    return word.document(house.press, sheet)
