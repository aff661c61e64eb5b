"""`congvan deliveries`, and answers that came by telephone or on paper: each is recorded under a name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from congvan.commands import given
from congvan.commands.session import opened
from congvan.commands.show import as_json, moment, table
from congvan.errors import NotFound
from congvan.rules.labels import CHANNELS, DELIVERY_STATES

if TYPE_CHECKING:
    from congvan.acts.confirmations import Answer, Receipt

Channel = Literal["phone", "paper"]


async def deliveries(campaign: str, /, *, json: bool = False) -> None:
    """Từng nơi nhận của một đợt.

    Parameters
    ----------
    campaign
        Mã của đợt.
    json
        In mỗi dòng một đối tượng JSON.
    """
    from congvan.acts import figures

    async with opened() as house:
        found = await figures.deliveries(house, campaign)
    if not found:
        raise NotFound(f"không có đợt «{campaign}» → xem: congvan status")
    if json:
        for one in found:
            as_json(one)
        return
    table(
        ["Mã", "Nơi nhận", "Đơn vị chuyển", "Tình trạng", "Thời hạn", "Nhắc", "Trả lời lúc", "Qua", "Ghi chú"],
        [_row(one) for one in found],
    )


def _row(one: dict[str, Any]) -> list[object]:
    facts = [word for key, word in (("escalated", "đã báo cáo lên trên"), ("late", "muộn")) if one[key]]
    return [
        one["code"], one["name"], one["issuer"], DELIVERY_STATES.get(one["state"], one["state"]),
        moment(one["due_at"]), one["reminders"], moment(one["confirmed_at"]),
        CHANNELS.get(one["channel"] or "", one["channel"]), ", ".join(facts),
    ]  # fmt: skip


# ------------------------------------------------------------------------------------ answers


async def confirm(
    delivery: str,
    /,
    *,
    by: str | None = None,
    channel: Channel = "phone",
    name: str = "",
    position: str = "",
    evidence: str = "",
    completed: bool = False,
    field: list[str] | None = None,
    file: list[str] | None = None,
    note: str = "",
    json: bool = False,
) -> None:
    """Ghi nhận nơi nhận đã tiếp nhận văn bản, theo điện thoại hoặc văn bản giấy.

    Parameters
    ----------
    delivery
        Mã của nơi nhận trong đợt, xem ở congvan deliveries.
    by
        Họ tên người ghi nhận.
    channel
        phone: điện thoại; paper: văn bản giấy.
    name
        Họ tên người trả lời.
    position
        Chức vụ người trả lời.
    evidence
        Số văn bản, số điện thoại làm căn cứ.
    completed
        Đã hoàn thành, không chỉ tiếp nhận.
    field
        Một mục của báo cáo: mã=giá trị; ghi nhiều lần được.
    file
        Tệp của một mục: mã=đường dẫn; không có mã thì là tệp kèm theo.
    note
        Nội dung báo cáo bằng lời.
    json
        In kết quả dạng JSON.
    """
    from congvan.acts.confirmations import Answer
    from congvan.rules.protocol import Event

    event = Event.COMPLETED if completed else Event.ACKNOWLEDGED
    if (field or file or note) and not completed:
        raise given.refuse("--completed", "các mục của báo cáo chỉ ghi khi đã hoàn thành", "thêm --completed")
    files, attached = given.uploads(file or (), "--file")
    said = Answer(
        event, name, position, channel, given.person(by), evidence=evidence, data={"report": note} if note else {},
        fields=given.pairs(field or (), "--field"), files=files, attached=attached,
    )  # fmt: skip
    await _answer(delivery, said, json=json)


async def reject(
    delivery: str,
    /,
    *,
    why: str,
    by: str | None = None,
    channel: Channel = "phone",
    name: str = "",
    position: str = "",
    json: bool = False,
) -> None:
    """Ghi nhận nơi nhận từ chối tiếp nhận.

    Parameters
    ----------
    delivery
        Mã của nơi nhận trong đợt.
    why
        Lý do từ chối.
    by
        Họ tên người ghi nhận.
    channel
        phone: điện thoại; paper: văn bản giấy.
    name
        Họ tên người trả lời.
    position
        Chức vụ người trả lời.
    json
        In kết quả dạng JSON.
    """
    from congvan.acts.confirmations import Answer
    from congvan.rules.protocol import Event

    reason = given.words(why, "--why", "lý do")
    said = Answer(Event.REJECTED, name, position, channel, given.person(by), reason=reason)
    await _answer(delivery, said, json=json)


async def _answer(delivery: str, said: Answer, *, json: bool) -> None:
    from congvan.acts import confirmations
    from congvan.acts import deliveries as acts

    async with opened() as house:
        try:
            receipt = await confirmations.answer(house, await acts.find(house, delivery), said)
        except confirmations.AnswersWrong as error:
            raise given.wrong_answers(error.wrong, house.settings.templates / "portal" / "words.yaml") from None
    _receipt(receipt, json=json)


async def forward(
    delivery: str,
    /,
    *,
    number: str | None = None,
    signed: Path | None = None,
    by: str | None = None,
    channel: Channel = "phone",
    name: str = "",
    position: str = "",
    json: bool = False,
) -> None:
    """Ghi nhận nơi nhận đã chuyển tiếp; văn bản đã soạn sẵn của họ được gửi xuống dưới.

    Parameters
    ----------
    delivery
        Mã của nơi nhận trong đợt.
    number
        Số văn bản của chính nơi nhận; để trống: không số.
    signed
        Văn bản đã ký của nơi nhận (PDF), gửi thay cho bản soạn sẵn.
    by
        Họ tên người ghi nhận.
    channel
        phone: điện thoại; paper: văn bản giấy.
    name
        Họ tên người của nơi nhận đã quyết định chuyển tiếp.
    position
        Chức vụ.
    json
        In kết quả dạng JSON.
    """
    from congvan.acts import deliveries as acts
    from congvan.acts import passing_on

    order = passing_on.PassOn(
        name, position, given.letter_number(number, "--number") if number else "", channel=channel,
        actor=given.person(by), own_pdf=given.pdf(signed, "--signed"),
    )  # fmt: skip
    async with opened() as house:
        receipt = await passing_on.pass_on(house, await acts.find(house, delivery), order)
    _receipt(receipt, json=json)


def _receipt(receipt: Receipt, *, json: bool) -> None:
    if json:
        as_json(
            {
                "delivery": receipt.delivery_id, "code": receipt.code, "state": receipt.state.value,
                "recorded_at": receipt.recorded_at.isoformat(), "late": receipt.late, "again": receipt.again,
            }
        )  # fmt: skip
        return
    before = "Đã ghi nhận từ trước" if receipt.again else "Đã ghi nhận"
    late = " (muộn)" if receipt.late else ""
    print(f"{before}: {receipt.code}  {DELIVERY_STATES[receipt.state.value]}{late}")
