"""A plan before it is launched: each issuer's letter, each recipient's mail, and a trial mail to oneself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path
from typing import Any, TypeVar

from starlette.responses import Response
from starlette.routing import Route

from congvan.acts import trial
from congvan.acts.launches import Launch
from congvan.commands import preview
from congvan.errors import BadInput, CongvanError, Fault, NotFound
from congvan.house import House
from congvan.letters.sheet import Sheet
from congvan.portal.files import FILE_POLICY, disposition
from congvan.portal.office.counter import Counter, Seat, Sent
from congvan.reading import lines_of, read_cascade, read_plan
from congvan.rules.records import CampaignPlan

T = TypeVar("T")


class PlanPages:
    """The routes of plans. They read the plans' folder and write nothing."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    def routes(self) -> list[Route]:
        """Looking is for everybody; a trial mail leaves for operators."""
        look, at = self._counter.look, "/plans/{plan}"
        return [
            look("/plans", self.list),
            look(at, self.show),
            look(f"{at}/letter.pdf", self.pdf),
            self._counter.act(f"{at}/trial", self.send),
        ]

    @property
    def _folder(self) -> Path:
        return self._counter.house.settings.config / "campaigns"

    async def list(self, seat: Seat) -> Response:
        """Every plan of the folder."""
        found: list[tuple[str, str, list[Fault]]] = []
        for path in sorted(self._folder.glob("*.yaml")):
            try:
                plan, _ = await asyncio.to_thread(read_plan, path)
                found.append((path.stem, plan.title, []))
            except BadInput as error:
                found.append((path.stem, "", list(error.faults)))
        return self._counter.page(seat, "plans.html", plans=found)

    async def show(self, seat: Seat) -> Response:
        """One plan, with the letter and the mail that were asked for."""
        return await self._page(seat)

    async def pdf(self, seat: Seat) -> Response:
        """The letter of an issuer as it would be printed, number and date still blank."""
        issuer = self._asked(seat, "issuer")
        try:
            sheet = await self._sheet(seat, issuer)
        except BadInput as error:
            return await self._page(seat, 422, wrong=self._counter.words.of(error))
        name = f"xem-truoc-{self._path(seat).stem}-{issuer}.pdf"
        headers = {"Content-Disposition": disposition(name, inline=True), "Content-Security-Policy": FILE_POLICY}
        data = self._counter.house.press.render(sheet).pdf
        return Response(data, media_type="application/pdf", headers=headers)

    async def send(self, seat: Seat, sent: Sent) -> Response:
        """Gửi thử: to the mailbox of this account, and to nobody else."""
        recipient = sent.text("recipient", 40)
        try:
            if not seat.account.email:
                return await self._page(seat, 422, wrong=["NO_MAILBOX"])
            order = await self._order(seat)
            to, carrier = seat.account.email, self._counter.carrier()
            outcome = await self._apart(lambda house: trial.send(house, carrier, order, recipient, to))
        except CongvanError as error:
            return await self._page(seat, 422, wrong=self._counter.words.of(error))
        done = "sent" if outcome.verdict == "accepted" else "not_sent"
        return self._counter.to("plans", self._path(seat).stem, recipient=recipient, done=done)

    # ------------------------------------------------------------------ how

    def _path(self, seat: Seat) -> Path:
        """The plan's file: one of those in the folder, whatever an address says; raise NotFound."""
        name = str(seat.request.path_params["plan"])
        found = next((path for path in self._folder.glob("*.yaml") if path.stem == name), None)
        if found is None:
            raise NotFound(f"không có kế hoạch «{name}»")
        return found

    def _asked(self, seat: Seat, name: str) -> str:
        return " ".join(seat.request.query_params.get(name, "").split())[:40]

    async def _order(self, seat: Seat) -> Launch:
        path = self._path(seat)
        plan, _ = await asyncio.to_thread(read_plan, path)
        cascade = read_cascade(self._counter.house.settings.cascade_file)
        return Launch(plan, cascade, "exercise", "", path.parent, str(path), lines_of(path))

    async def _page(self, seat: Seat, status: int = 200, **values: Any) -> Response:
        issuer, recipient = self._asked(seat, "issuer"), self._asked(seat, "recipient")
        made: dict[str, Any] = {"plan": None, "letter": None, "mail": None}
        wrong: list[str] = list(values.pop("wrong", []))
        try:
            made["plan"] = await self._plan(seat)
            if issuer:
                made["letter"] = self._counter.house.press.render(await self._sheet(seat, issuer))
            if recipient:
                made["mail"] = await self._mail(seat, recipient)
        except (BadInput, NotFound) as error:
            wrong += self._counter.words.of(error)
            status = 422
        return self._counter.page(
            seat, "plan.html", status, name=self._path(seat).stem, issuer=issuer, recipient=recipient, wrong=wrong,
            done=seat.done, **made, **values,
        )  # fmt: skip

    async def _sheet(self, seat: Seat, issuer: str) -> Sheet:
        path = self._path(seat)
        return await self._apart(lambda house: preview.sheet(house, path, issuer, illustration=False))

    async def _apart(self, work: Callable[[House], Coroutine[Any, Any, T]]) -> T:
        """Rehearse on a thread of its own: a launch in memory takes seconds, and recipients confirm meanwhile."""

        async def run() -> T:
            house = self._counter.house.apart()
            try:
                return await work(house)
            finally:
                await house.close()

        return await asyncio.to_thread(lambda: asyncio.run(run()))

    async def _plan(self, seat: Seat) -> CampaignPlan:
        plan, _ = await asyncio.to_thread(read_plan, self._path(seat))
        return plan

    async def _mail(self, seat: Seat, recipient: str) -> dict[str, Any]:
        """What this recipient would get: subject, words and the names of the files."""
        to = seat.account.email or self._counter.house.settings.mail_from
        order = await self._order(seat)
        made = await self._apart(lambda house: trial.trial(house, order, recipient, to))
        payload = made.payload() if callable(made.payload) else made.payload
        message = BytesParser(policy=default).parsebytes(payload.removesuffix(b".\r\n"))
        assert isinstance(message, EmailMessage), "composed by us"
        body = message.get_body(("plain",))
        return {
            "subject": str(message["Subject"]), "from": str(message["From"]),
            "text": body.get_content() if body is not None else "",
            "files": [str(part.get_filename()) for part in message.iter_attachments() if part.get_filename()],
        }  # fmt: skip
