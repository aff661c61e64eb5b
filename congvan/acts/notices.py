"""What the unit in charge has to know at once: a campaign is held, a hop broke off, few answer, nobody takes a case."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal

from sqlalchemy import select

from congvan.acts import figures, mails, registry
from congvan.acts.frozen import cascade_of
from congvan.errors import NotFound
from congvan.house import House
from congvan.rules.calendar import local
from congvan.rules.protocol import State, answered
from congvan.store.ledger import Ledger
from congvan.store.tables import Campaign, Case, Delivery, Hop, Note

What = Literal["held", "crashed", "at_risk", "unclaimed", "unsound", "unsent_report"]

#: Who holds a campaign where no person did.
ENGINE, PREFECT = "engine", "prefect"


@dataclass(frozen=True, slots=True)
class Saying:
    """A notice's heading and what its reader can do."""

    title: str
    advice: str


WORDS: Mapping[What, Saying] = MappingProxyType(
    {
        "held": Saying(
            "đang giữ thư lại, thời hạn vẫn tính",
            "Hệ thống không gửi tiếp văn bản và thư nhắc của đợt này. Xác nhận của các đơn vị vẫn được ghi nhận. "
            "Đề nghị người phụ trách kiểm tra, sau đó cho gửi tiếp hoặc thu hồi.",
        ),
        "crashed": Saying(
            "có tiến trình bị dừng vì lỗi",
            "Hệ thống tự chạy lại tiến trình này; không văn bản nào bị mất. Nếu thư này lặp lại, đề nghị người "
            "quản trị xem nhật ký và chạy congvan doctor.",
        ),
        "at_risk": Saying(
            "có nguy cơ chậm",
            "Đã qua nửa thời hạn mà ít đơn vị trả lời. Đề nghị người phụ trách liên hệ trực tiếp với các đơn vị "
            "chưa trả lời.",
        ),
        "unclaimed": Saying(
            "có trường hợp chưa ai nhận xử lý",
            "Đề nghị phân công người nhận xử lý từng trường hợp trên trang cán bộ.",
        ),
        "unsound": Saying(
            "có dữ liệu không khớp",
            "Đề nghị người quản trị chạy congvan audit và xem nhật ký của hệ thống trước khi gửi tiếp.",
        ),
        "unsent_report": Saying(
            "có báo cáo đã ban hành mà chưa gửi đi",
            "Hệ thống không gửi được báo cáo này. Đề nghị gửi bằng đường khác và bổ sung hộp thư của cơ quan nhận báo "
            "cáo vào danh bạ.",
        ),
    }
)


async def tell(house: House, ledger: Ledger, campaign: Campaign, what: What, why: str, now: datetime) -> None:
    """Write to the unit in charge, in the transaction of the act that gives the reason."""
    cascade = cascade_of(campaign)
    unit = await registry.organisation(ledger, cascade.drafting_unit or cascade.speaks_for)
    boxes = registry.mailboxes(unit, local(now).date())
    if not boxes:
        return  # refused at launch; a mailbox removed later is shown by `doctor`
    context = {
        "name": unit.name, "what": what, "why": why, "since": now.isoformat(),
        "figures": await figures.for_mail(ledger, campaign.id, now),
    }  # fmt: skip
    mail = mails.Mail(
        kind=mails.NOTICE, step=house.new_id(now), recipient=unit.code, address=boxes[0],
        not_before=now, campaign_id=campaign.id, urgent=True, context=context,
    )  # fmt: skip
    await mails.queue(house, ledger, [mail], now)


async def tell_once(house: House, what: What, about: str, why: str = "") -> bool:
    """Tell of something at most once a day; True when it was told.

    about: the campaign's code, or the run of the hop that broke off. why: in words; empty: what is known of it.
    Raises NotFound.
    """
    now = await house.clock.now()
    async with house.store.act() as ledger:
        campaign, known = await _meant(ledger, what, about)
        key = f"notice:{what}:{campaign.id}:{local(now):%Y-%m-%d}"
        if not await ledger.add_if_absent(Note, name=key, value={"at": now.isoformat()}):
            return False
        await tell(house, ledger, campaign, what, why or known, now)
        return True


async def _meant(ledger: Ledger, what: What, about: str) -> tuple[Campaign, str]:
    if what == "crashed":
        hop: Hop | None = await ledger.first(select(Hop).where(Hop.run_id == about))
        if hop is None:
            raise NotFound(f"không có chặng nào mang lượt chạy «{about}»")
        return await ledger.get(Campaign, hop.campaign_id), f"Tiến trình của {hop.issuer_name} kết thúc vì lỗi"
    campaign: Campaign | None = await ledger.first(select(Campaign).where(Campaign.code == about))
    if campaign is None:
        raise NotFound(f"không có đợt «{about}» → xem: congvan status")
    if what == "unclaimed":
        number = len(await _unclaimed(ledger, campaign.id))
        return campaign, f"{number} trường hợp chưa có người nhận xử lý"
    done, total = await _answers(ledger, Delivery.campaign_id == campaign.id)
    return campaign, f"Mới có {done}/{total} đơn vị trả lời"


# ------------------------------------------------------------------------------------ what is looked for


@dataclass(frozen=True, slots=True)
class Signal:
    """Something that an automation may hang on, told once under its key. numbers: no name and no address among them."""

    key: str
    what: Literal["at_risk", "unclaimed"]
    campaign: str
    numbers: Mapping[str, int]


async def look(house: House) -> list[Signal]:
    """What is worth a signal now and was not signalled yet: few answers at half time, cases nobody takes."""
    now = await house.clock.now()
    found: list[Signal] = []
    async with house.store.view() as ledger:
        campaigns: list[Campaign] = await ledger.all(select(Campaign).where(Campaign.state == "RUNNING"))
        for campaign in campaigns:
            if campaign.held_at is None:
                found += await _at_risk(house, ledger, campaign, now)
                found += await _nobody_takes(house, ledger, campaign, now)
        return [one for one in found if await ledger.note(one.key) is None]


async def signalled(house: House, signals: Iterable[Signal]) -> None:
    """These have arrived: they are not told again."""
    now = await house.clock.now()
    async with house.store.act() as ledger:
        for one in signals:
            await ledger.add_if_absent(Note, name=one.key, value={"at": now.isoformat()})


async def _at_risk(house: House, ledger: Ledger, campaign: Campaign, now: datetime) -> list[Signal]:
    hops: list[Hop] = await ledger.all(select(Hop).where(Hop.campaign_id == campaign.id, Hop.state == "OPEN"))
    signals = []
    for hop in hops:
        assert hop.opened_at is not None, "an open hop was opened"
        assert hop.due_at is not None, "an open hop has a deadline"
        if now < hop.opened_at + (hop.due_at - hop.opened_at) / 2:
            continue
        done, total = await _answers(ledger, Delivery.hop_id == hop.id)
        if done >= math.ceil(total * house.settings.risk_share):
            continue
        said = {"answered": done, "asked": total}
        signals.append(Signal(f"at-risk:{hop.id}", "at_risk", campaign.code, said))
    return signals


async def _nobody_takes(house: House, ledger: Ledger, campaign: Campaign, now: datetime) -> list[Signal]:
    since = house.calendars.state
    late = [
        opened for opened in await _unclaimed(ledger, campaign.id)
        if now >= opened + timedelta(days=1) and since.count(local(opened).date(), local(now).date()) >= 1
    ]  # fmt: skip
    if not late:
        return []
    name = f"unclaimed:{campaign.id}:{local(now):%Y-%m-%d}"
    return [Signal(name, "unclaimed", campaign.code, {"cases": len(late)})]


async def _unclaimed(ledger: Ledger, campaign_id: str) -> list[datetime]:
    return await ledger.all(
        select(Case.opened_at).where(
            Case.campaign_id == campaign_id, Case.closed_at.is_(None), Case.claimed_by.is_(None), Case.rung > 0
        )
    )


async def _answers(ledger: Ledger, where: object) -> tuple[int, int]:
    """(answered, asked)"""
    states = [State(state) for state in await ledger.all(select(Delivery.state).where(where))]  # type: ignore[arg-type]
    asked = [state for state in states if state not in (State.EXEMPT, State.WITHDRAWN)]
    return sum(map(answered, asked)), len(asked)
