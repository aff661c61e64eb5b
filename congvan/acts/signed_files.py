"""A file that somebody has sent, as it came: against the approved draft, its signatures, and marks of secrecy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, TypeVar

from congvan.acts.drafting import Draft
from congvan.errors import BadInput, Fault
from congvan.letters import active, comparing, numbering, office_words, revisions, upload
from congvan.letters.press import Rendered
from congvan.rules import uploads
from congvan.rules.uploads import Upload

T = TypeVar("T")


class FileRefused(BadInput):
    """A file that may not travel. code: its word in `words.yaml`, for whoever reads it on a page."""

    def __init__(self, code: str, fault: Fault) -> None:
        self.code = code
        super().__init__([fault])


@dataclass(frozen=True, slots=True)
class Issued:
    """What the clerk, or the company, enters. signed: the file as it was signed; None: ours, unsigned.

    paper_scan: the file is "bản quét của bản giấy", so it needs no digital signature.
    accept_differences_by: who has seen the differences from the draft and answers for them.
    """

    number: str
    day: date
    by: str
    signed: bytes | None = None
    paper_scan: bool = False
    accept_differences_by: str = ""


async def beside_the_loop(work: Callable[..., T], *given: Any) -> T:
    """Read a file that somebody has sent: it may be made so that it takes long. The simulator has no loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work(*given)
    return await asyncio.to_thread(work, *given)


async def checked(made: Draft, rendered: Rendered, entered: Issued) -> dict[str, Any]:
    """`check_signed` beside the loop; nothing where the file is ours, unsigned."""
    return await beside_the_loop(check_signed, made, rendered, entered) if entered.signed is not None else {}


def check_signed(made: Draft, rendered: Rendered, entered: Issued) -> dict[str, Any]:
    """What the log keeps of a signed file; raise BadInput with every place in which it may not leave.

    rendered: the approved draft with the entered number and date.
    """
    assert entered.signed is not None, "only a file is checked"
    file = upload.read(entered.signed)
    refuse_secret(file.text)
    faults = list(_signature_faults(file, entered, entered.signed))
    found = comparing.compare(file, comparing.approved(made.sheet, rendered), paper_scan=entered.paper_scan)
    accepted = entered.accept_differences_by.strip()
    faults += [_fault(one) for one in found if one.fatal or not accepted]
    if faults:
        raise BadInput(faults)
    evidence: dict[str, Any] = {"paper_scan": entered.paper_scan, "signed_by": [one.signer for one in file.signatures]}
    if found:
        evidence |= {"differences": [f"{one.place}: {one}" for one in found], "accepted_by": accepted}
    return evidence


def refuse_secret(text: str, name: str = "tệp đã ký") -> None:
    """Classified documents never travel by this engine (NĐ 30/2020 Điều 15.2, 16.3, 22.4); raise FileRefused."""
    if stamp := numbering.secret_stamp(text):
        message = f"có dấu chỉ mức độ mật «{stamp}»: không gửi qua hệ thống này"
        raise FileRefused("file_secret", Fault(name, "", message, "chuyển theo đường văn thư mật"))


def refuse_secret_file(data: bytes, name: str) -> None:
    """The same for a file that is passed on as it came, a PDF or one of Word or Excel; one that cannot be read is no
    business of ours."""
    try:
        text = upload.read(data, name, protected=True).text
    except BadInput:
        text = office_words.words(data)
    refuse_secret(text, name)


def refuse_own_file(data: bytes, name: str) -> None:
    """The same for a company's own letter, which opens in the mail programs of all who stand below: it also has to
    be one that can only be read."""
    refuse_secret_file(data, name)
    if active.is_active(data):
        message, remedy = "có mã lệnh hoặc có tệp nhúng bên trong", "in hoặc xuất lại văn bản thành tệp PDF thường"
        raise FileRefused("file_active", Fault(name, "", message, remedy))


async def examined(file: Upload) -> Upload:
    """A file that somebody has sent, with what is wrong with it: looked at once, beside the loop, before anything is
    locked."""
    return file if file.fault is not None else replace(file, fault=await beside_the_loop(_fault_in, file))


def _fault_in(file: Upload) -> str:
    """As `uploads.fault_of`; file_secret for a document or attachment that is marked MẬT."""
    if fault := uploads.fault_of(file):
        return fault
    try:
        refuse_secret_file(file.data, file.name)
    except FileRefused as refused:
        return refused.code
    return ""


def _signature_faults(file: upload.Upload, entered: Issued, data: bytes) -> list[Fault]:
    if not file.signatures and not entered.paper_scan:
        remedy = "ký số tệp, hoặc đánh dấu «bản quét của bản giấy»"
        return [Fault("tệp đã ký", "chữ ký số", "không có chữ ký số", remedy)]
    broken = [one.signer or "không rõ người ký" for one in file.signatures if not one.whole]
    faults = [
        Fault("tệp đã ký", "chữ ký số", f"nội dung đã thay đổi sau khi ký ({name})", "ký lại tệp") for name in broken
    ]
    # What a signature covers is as it was signed; what was appended to it afterwards is nobody's.
    if file.signatures and revisions.has_more(data, max(one.end for one in file.signatures)):
        remedy = "ký tệp sau khi đã bổ sung đủ, hoặc chọn tệp như khi vừa ký xong"
        faults.append(Fault("tệp đã ký", "chữ ký số", "có nội dung thêm vào sau khi ký", remedy))
    return faults


def _fault(one: comparing.Difference) -> Fault:
    remedy = "sửa tệp hoặc số, ngày đã nhập" if one.fatal else "sửa tệp, hoặc ghi họ tên người chấp nhận khác biệt"
    return Fault("tệp đã ký", one.place, str(one), remedy)
