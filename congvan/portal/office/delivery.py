"""One delivery: all that is known of it, and a form for each thing that an operator can do about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from congvan.acts import confirmations, deliveries, escalations, extending, recalls
from congvan.acts import dossier as dossiers
from congvan.acts.accounts import Role
from congvan.acts.confirmations import Answer, AnswersWrong, Receipt
from congvan.acts.passing_on import PassOn, pass_on
from congvan.acts.signed_files import examined
from congvan.commands import given
from congvan.errors import BadInput, CongvanError, StaleDelivery
from congvan.house import House
from congvan.portal.files import FILE_POLICY, disposition
from congvan.portal.forms import QUESTION
from congvan.portal.office.counter import Counter, Seat, Sent
from congvan.portal.office.saying import required, until
from congvan.rules.protocol import Event
from congvan.rules.uploads import PDF, Upload

_CHANNELS = ("phone", "paper")
_ANSWERS = {
    "acknowledged": Event.ACKNOWLEDGED, "completed": Event.COMPLETED, "rejected": Event.REJECTED,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done, to which delivery, by whom. round: of its letter when the log was found to be as shown."""

    house: House
    delivery_id: str
    by: str
    sent: Sent
    round: int


Do = Callable[[Order], Awaitable[object]]


async def confirm(order: Order) -> object:
    """An answer that came by telephone or on paper: who said it, on what evidence."""
    sent = order.sent
    event = _ANSWERS.get(sent.text("answer"))
    if event is None:
        raise _unanswered()
    name = required(sent.text("name"), "Họ tên người trả lời")
    said = Answer(
        event, name, sent.text("position"), _channel(sent), order.by, evidence=sent.text("evidence"),
        reason=required(sent.words("reason"), "Lý do từ chối") if event is Event.REJECTED else "",
        segment_ticked=sent.ticked("segment"), attached=await _evidence(sent),
    )  # fmt: skip
    return await _answer(order, said)


async def report(order: Order) -> object:
    """A report that came by telephone or on paper, with the fields that the plan asks for."""
    sent = order.sent
    words = sent.words("reason")
    said = Answer(
        Event.COMPLETED, required(sent.text("name"), "Họ tên người báo cáo"), sent.text("position"), _channel(sent),
        order.by, evidence=sent.text("evidence"), attached=await _evidence(sent),
        data={"report": words} if words else {},
        fields={key.removeprefix(QUESTION): value for key, value in sent.texts.items() if key.startswith(QUESTION)},
        files={key.removeprefix(QUESTION): file for key, file in sent.files.items() if key.startswith(QUESTION)},
    )  # fmt: skip
    return await _answer(order, said)


async def _answer(order: Order, said: Answer) -> Receipt:
    """The answer; where it was known before, what it rests on is kept as a note."""
    receipt = await confirmations.answer(order.house, order.delivery_id, said)
    report = str(said.data.get("report", ""))
    if receipt.again and (said.evidence or said.attached or report):
        words = f"{said.name}: trả lời đã ghi nhận từ trước. {report}".strip()
        await escalations.note(
            order.house, order.delivery_id, order.by, words, evidence=said.evidence, files=said.attached
        )
    return receipt


async def forward(order: Order) -> object:
    """A company's order to pass its letter on, given by telephone or on paper; with its own PDF where it has one."""
    sent = order.sent
    if sent.file:
        await _looked_at(sent.file, "Văn bản của đơn vị", only_pdf=True)
    number = sent.text("number", 7)
    passed = PassOn(
        required(sent.text("name"), "Họ tên người quyết định"), sent.text("position"),
        given.letter_number(number, "Số văn bản") if number else "", sent.ticked("segment"), _channel(sent), order.by,
        sent.file.data if sent.file else None,
    )  # fmt: skip
    return await pass_on(order.house, order.delivery_id, passed)


async def resend(order: Order) -> None:
    """The letter again, to another mailbox where one is named."""
    to = given.address(order.sent.text("to", 254) or None, "Hộp thư mới")
    why = order.sent.words("why")
    await deliveries.resend(
        order.house, order.delivery_id, order.by, address=to, why=why, round_shown=order.round
    )


async def extend(order: Order) -> None:
    """More time."""
    sent = order.sent
    due = until(sent.text("day", 10), sent.text("hour", 5), "Thời hạn mới")
    why = required(sent.words("why"), "Lý do")
    await extending.extend(order.house, order.delivery_id, due, order.by, why)


async def exempt(order: Order) -> None:
    """Miễn báo cáo."""
    why = required(order.sent.words("why"), "Lý do")
    await deliveries.exempt(order.house, order.delivery_id, order.by, why)


async def withdraw(order: Order) -> None:
    """Thu hồi."""
    why = required(order.sent.words("why"), "Lý do")
    await deliveries.withdraw(order.house, order.delivery_id, order.by, why)


async def claim(order: Order) -> None:
    """The case is taken in hand; the note says what is being done, the date until when it climbs no further."""
    day = order.sent.text("next", 10)
    later = until(day, "", "Ngày xem lại") if day else None
    await escalations.claim(order.house, order.delivery_id, order.by, order.sent.words("note"), later)


async def note(order: Order) -> None:
    """What was done: a call, a visit."""
    await escalations.note(order.house, order.delivery_id, order.by, required(order.sent.words("note"), "Nội dung"))


async def settle(order: Order) -> None:
    """The case is closed by decision: nobody is told of it any more, the answer is still owed."""
    why = required(order.sent.words("why"), "Lý do")
    await escalations.decide(order.house, order.delivery_id, order.by, why)


async def recalled(order: Order) -> None:
    """What a recipient says to a recall: given back, or not and why."""
    sent = order.sent
    if sent.text("agreed") not in ("yes", "no"):
        raise _unanswered()
    agreed = sent.text("agreed") == "yes"
    why = sent.words("why") if agreed else required(sent.words("why"), "Lý do từ chối")
    await recalls.answer(
        order.house, order.delivery_id, agreed=agreed, by=order.by, channel=_channel(sent), why=why
    )


#: What can be done, and from which role on. What cannot be undone is for those who sign.
ACTIONS: dict[str, tuple[Role, Do]] = {
    "confirm": (Role.OPERATOR, confirm),
    "report": (Role.OPERATOR, report),
    "forward": (Role.OPERATOR, forward),
    "resend": (Role.OPERATOR, resend),
    "extend": (Role.OPERATOR, extend),
    "exempt": (Role.OPERATOR, exempt),
    "withdraw": (Role.LEADER, withdraw),
    "claim": (Role.OPERATOR, claim),
    "note": (Role.OPERATOR, note),
    "settle": (Role.LEADER, settle),
    "recalled": (Role.OPERATOR, recalled),
}


def _channel(sent: Sent) -> str:
    channel = sent.text("channel")
    return channel if channel in _CHANNELS else "phone"


async def _evidence(sent: Sent) -> list[Upload]:
    return [await _looked_at(sent.file, "Tệp căn cứ")] if sent.file else []


async def _looked_at(file: Upload, field: str, *, only_pdf: bool = False) -> Upload:
    """The file with what was found in it; raise BadInput for one that may not be kept."""
    file = await examined(file)
    if file.fault == "file_secret":
        raise given.refuse(field, "tệp có dấu chỉ mức độ mật", "chuyển theo đường văn thư mật")
    if file.fault == "file_too_large":
        raise given.refuse(field, "tệp lớn hơn 10 MB", "quét lại ở độ phân giải thấp hơn")
    if file.fault or (only_pdf and file.media_type != PDF):
        remedy = "chọn tệp PDF nguyên vẹn" if only_pdf else "chọn tệp PDF, JPEG, PNG, DOCX hoặc XLSX nguyên vẹn"
        raise given.refuse(field, "tệp không đúng loại hoặc bị hỏng", remedy)
    return file


def _unanswered() -> BadInput:
    return given.refuse("Trả lời", "chưa chọn câu trả lời", "chọn một trong các câu trả lời")


class DeliveryPages:
    """The routes of one delivery."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    def routes(self) -> list[Route]:
        """Its page, its papers, and one address for each thing that can be done."""
        at = "/c/{campaign}/d/{delivery}"
        acts = [self._counter.act(f"{at}/{name}", self._act(name), role) for name, (role, _do) in ACTIONS.items()]
        return [
            self._counter.look(at, self.show),
            self._counter.look(f"{at}/papers/{{sha256}}", self.paper),
            *acts,
        ]

    async def show(self, seat: Seat) -> Response:
        """The dossier."""
        return await self._page(seat)

    async def paper(self, seat: Seat) -> Response:
        """A paper that was kept as evidence, saved and never shown as a page of ours."""
        campaign, delivery = self._of(seat)
        sha256 = str(seat.request.path_params["sha256"])
        name, kind, data = await dossiers.paper(self._counter.house, campaign, delivery, sha256)
        headers = {"Content-Disposition": disposition(name, inline=False), "Content-Security-Policy": FILE_POLICY}
        return Response(data, media_type=kind, headers=headers)

    def _act(self, name: str) -> Callable[[Seat, Sent], Awaitable[Response]]:
        async def handle(seat: Seat, sent: Sent) -> Response:
            campaign, delivery = self._of(seat)
            found = await self._found(seat)  # of this campaign, or not found
            if meanwhile := dossiers.meanwhile(found, sent.number("as_shown")):
                return await self._page(seat, 409, meanwhile=meanwhile, form=name, sent=sent)
            try:
                said = await ACTIONS[name][1](
                    Order(self._counter.house, delivery, seat.by, sent, found.delivery.round)
                )
            except AnswersWrong as error:
                wrong = self._wrong_answers(found, error)
                return await self._page(seat, 422, wrong=wrong, form=name, sent=sent)
            except CongvanError as error:
                status = 409 if isinstance(error, StaleDelivery) else 422
                return await self._page(seat, status, wrong=self._counter.words.of(error), form=name, sent=sent)
            again = isinstance(said, Receipt) and said.again
            return self._counter.to("c", campaign, "d", delivery, done="again" if again else name)

        return handle

    def _wrong_answers(self, found: dossiers.Dossier, error: AnswersWrong) -> list[str]:
        titles = {one.key: one.title for one in confirmations.questions_of(found.campaign, found.delivery)}
        said = self._counter.desk.pages.word
        return [f"{titles.get(key, key)}: {said(one.code, 'vi', **one.values)}" for key, one in error.wrong.items()]

    async def _found(self, seat: Seat) -> dossiers.Dossier:
        return await dossiers.dossier(self._counter.house, *self._of(seat))

    def _of(self, seat: Seat) -> tuple[str, str]:
        return str(seat.request.path_params["campaign"]), str(seat.request.path_params["delivery"])

    async def _page(self, seat: Seat, status: int = 200, **values: Any) -> Response:
        found = await self._found(seat)
        questions = confirmations.questions_of(found.campaign, found.delivery)
        duties = confirmations.duties_of(found.campaign, found.delivery)
        empty = {"wrong": [], "meanwhile": [], "form": "", "sent": Sent(), "done": seat.done}
        prefect = self._counter.house.settings.prefect_url.rstrip("/")
        return self._counter.page(
            seat, "delivery.html", status, found=found, campaign=found.campaign, delivery=found.delivery,
            duties=duties, questions=questions, titles={one.key: one.title for one in questions},
            papers_of=dossiers.papers_of, prefect=prefect, **(empty | values),
        )  # fmt: skip
