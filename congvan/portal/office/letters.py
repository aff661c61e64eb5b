"""Letters that await their issue: the draft to look at and to sign, and the signed file that comes back."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from congvan.acts import clerks, recalls, reporting
from congvan.acts import letters as acts
from congvan.acts.accounts import Role
from congvan.commands import given
from congvan.commands.papers import word_copy
from congvan.errors import BadInput, CongvanError, Fault
from congvan.portal.files import FILE_POLICY, disposition
from congvan.portal.guard import LARGEST_SIGNED_BYTES
from congvan.portal.office.counter import Counter, Seat, Sent
from congvan.portal.office.saying import required

_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


class LetterPages:
    """The routes of letters."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    def routes(self) -> list[Route]:
        """Looking, taking the draft away, and coming back with the signed file."""
        look, act, at = self._counter.look, self._counter.act, "/letters/{letter}"
        return [
            look("/letters", self.list),
            look(at, self.show),
            look(f"{at}/letter.pdf", self.file),
            look(f"{at}/entered.pdf", self.entered),
            look(f"{at}/draft.pdf", self.draft),
            look(f"{at}/draft.docx", self.word),
            act(f"{at}/issue", self.issue),
            act(f"{at}/approve", self.approve),
            act(f"{at}/send-back", self.send_back),
            act(f"{at}/add", self.add),
            act(f"{at}/recall", self.recall, Role.LEADER),
        ]

    async def list(self, seat: Seat) -> Response:
        """Every letter that awaits its issue."""
        found = await clerks.waiting(self._counter.house)
        return self._counter.page(seat, "letters.html", papers=found)

    async def show(self, seat: Seat) -> Response:
        """One letter, as it stands."""
        return await self._page(seat)

    # ------------------------------------------------------------------ files

    async def file(self, seat: Seat) -> Response:
        """The letter as it was issued, or its draft as it was submitted."""
        return _pdf(*await clerks.stored(self._counter.house, self._letter(seat)))

    async def entered(self, seat: Seat) -> Response:
        """The signed file that somebody has to look at."""
        return _pdf(*await clerks.stored(self._counter.house, self._letter(seat), entered=True))

    async def draft(self, seat: Seat) -> Response:
        """The approved draft, to be put before the signer."""
        paper = await clerks.paper(self._counter.house, self._letter(seat))
        rendered = await acts.to_sign(self._counter.house, paper.letter.id)
        return _pdf(f"du-thao-{paper.campaign}-{paper.letter.issuer}.pdf", rendered.pdf)

    async def word(self, seat: Seat) -> Response:
        """The same for Word."""
        paper = await clerks.paper(self._counter.house, self._letter(seat))
        try:
            data = word_copy(self._counter.house, await acts.sheet_to_sign(self._counter.house, paper.letter.id))
        except CongvanError as error:
            return await self._page(seat, 422, wrong=self._counter.words.of(error))
        name = f"du-thao-{paper.campaign}-{paper.letter.issuer}.docx"
        return Response(data, media_type=_WORD, headers={"Content-Disposition": disposition(name, inline=False)})

    # ------------------------------------------------------------------ issuing

    async def issue(self, seat: Seat, sent: Sent) -> Response:
        """Number, date and signed file; issued, or kept for whoever has to say yes."""
        letter = self._letter(seat)
        try:
            made = await clerks.enter(self._counter.house, letter, _entered(sent, seat.by))
        except BadInput as error:
            return await self._page(seat, 422, faults=error.faults, sent=sent)
        except CongvanError as error:
            return await self._page(seat, 422, wrong=self._counter.words.of(error), sent=sent)
        return self._counter.to("letters", letter, done="issued" if made else "entered")

    async def approve(self, seat: Seat, sent: Sent) -> Response:
        """Yes, with the differences, to what the page has shown."""
        letter = self._letter(seat)
        try:
            await clerks.approve(self._counter.house, letter, seat.by, sent.words("seen"))
        except CongvanError as error:
            return await self._page(seat, 422, wrong=self._counter.words.of(error))
        return self._counter.to("letters", letter, done="issued")

    async def send_back(self, seat: Seat, sent: Sent) -> Response:
        """No, and why."""
        letter = self._letter(seat)
        try:
            await clerks.send_back(self._counter.house, letter, seat.by, required(sent.words("why"), "Lý do"))
        except CongvanError as error:
            return await self._page(seat, 422, wrong=self._counter.words.of(error), sent=sent)
        return self._counter.to("letters", letter, done="sent_back")

    async def add(self, seat: Seat, sent: Sent) -> Response:
        """The office's own words in a report: one thing on each line."""
        letter = self._letter(seat)
        findings, proposals = (sent.words(name, 4_000).splitlines() for name in ("findings", "proposals"))
        try:
            await reporting.add(
                self._counter.house, letter, seat.by, findings=findings, proposals=proposals, seen=sent.text("seen")
            )
        except CongvanError as error:
            return await self._page(seat, 422, wrong=self._counter.words.of(error), sent=sent)
        return self._counter.to("letters", letter, done="added")

    async def recall(self, seat: Seat, sent: Sent) -> Response:
        """An issued letter is taken back from everybody who got it."""
        letter = self._letter(seat)
        try:
            await recalls.recall(self._counter.house, letter, seat.by, required(sent.words("why"), "Lý do"))
        except CongvanError as error:
            return await self._page(seat, 422, wrong=self._counter.words.of(error), sent=sent)
        return self._counter.to("letters", letter, done="recalled")

    def _letter(self, seat: Seat) -> str:
        return str(seat.request.path_params["letter"])

    async def _page(self, seat: Seat, status: int = 200, **values: Any) -> Response:
        paper = await clerks.paper(self._counter.house, self._letter(seat))
        two = self._counter.house.settings.issue_needs_two
        mine = paper.entered is not None and paper.entered.entered_by == seat.by
        empty = {"wrong": [], "faults": (), "sent": Sent(), "form": seat.act, "done": seat.done}
        return self._counter.page(
            seat, "letter.html", status, paper=paper, letter=paper.letter, two=two, may_approve=not (two and mine),
            mark=clerks.mark_of(paper.entered) if paper.entered else "",
            **(empty | values),
        )  # fmt: skip


def _entered(sent: Sent, by: str) -> acts.Issued:
    """What was typed; raise BadInput."""
    number = given.letter_number(sent.text("number", 8), "Số văn bản")
    day = given.day(sent.text("day", 10), "Ngày ban hành")
    file = sent.file
    if file is not None and (len(file.data) > LARGEST_SIGNED_BYTES - 1024 * 1024 or b"%PDF-" not in file.data[:1024]):
        raise BadInput([Fault("tệp đã ký", "Tệp đã ký", "không phải là tệp PDF, hoặc lớn hơn 30 MB", "chọn lại tệp")])
    return acts.Issued(number, day, by, file.data if file else None, sent.ticked("paper_scan"))


def _pdf(name: str, data: bytes) -> Response:
    headers = {"Content-Disposition": disposition(name, inline=True), "Content-Security-Policy": FILE_POLICY}
    return Response(data, media_type="application/pdf", headers=headers)
