"""What mails of no delivery say: copies for the distribution list, reports, and what the authority's own people are
told (a letter that awaits them, a notice, the digest)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from congvan.acts import notices
from congvan.acts.digest import Line
from congvan.acts.mails import NOTICE
from congvan.acts.wording import Scene, change_fields, files_of
from congvan.house import House
from congvan.letters import numbering
from congvan.links import office_url
from congvan.mail import contexts as say
from congvan.rules.calendar import local
from congvan.rules.labels import letter_kind
from congvan.store.tables import Message


def context_of(house: House, message: Message, scene: Scene, now: datetime) -> say.Context:
    """What a mail of no delivery says: rendered by itself, since no two are alike."""
    context = message.context
    if message.kind in say.CHANGES:
        fields = change_fields(message, scene) | {"recipient": context["name"]}
        return say.CHANGES[message.kind](**fields)
    if message.kind == "copy":
        return say.CopyMail(
            head=scene.head, recipient=context["name"], document=context.get("document") or scene.document,
            subject=context.get("subject") or scene.subject, directive=scene.directive,
            purpose=context["purpose"] or "để biết", fragment="" if "document" in context else scene.fragment,
            files=files_of(message, scene),
        )  # fmt: skip
    if message.kind == "report":
        return say.ReportMail(
            head=scene.head, recipient=context["name"], document=context["document"], subject=context["subject"],
            directive=scene.directive, figures=say.Figures(**context["figures"]), files=files_of(message, scene),
        )  # fmt: skip
    if message.kind == "issue_wanted":
        return _issue_wanted(house, context, scene, now)
    if message.kind == NOTICE:
        return _notice(house, context, scene)
    return _digest(house, message, scene, now)


def _notice(house: House, context: Mapping[str, Any], scene: Scene) -> say.Context:
    words = notices.WORDS[context["what"]]
    return say.NoticeMail(
        head=scene.head, recipient=context["name"], campaign=scene.plan.code, document=scene.document,
        subject=scene.subject, title=words.title, why=context["why"], advice=words.advice,
        since=numbering.moment(datetime.fromisoformat(context["since"])), held=context["what"] == "held",
        figures=say.Figures(**context["figures"]), link=_page(house, "c", scene.plan.code),
    )  # fmt: skip


def _issue_wanted(house: House, context: Mapping[str, Any], scene: Scene, now: datetime) -> say.Context:
    waiting = say.WaitingLetter(
        title=context.get("title", letter_kind("")), subject=context["subject"], campaign=scene.plan.code,
        since=context["since"], wanted_by=context["until"], held_by=context["name"],
        recipients=int(context["recipients"]),
        link=_page(house, "letters", context["letter"]) if "letter" in context else "",
    )  # fmt: skip
    return say.IssueWantedMail(
        head=scene.head, recipient=context["name"], letters=(waiting,), link=_page(house, "letters"),
        step=int(context["step"]),
    )  # fmt: skip


def _digest(house: House, message: Message, scene: Scene, now: datetime) -> say.Context:
    context = message.context
    lines = [Line(**line) for line in context["lines"]]
    chapters = tuple(
        say.DigestCampaign(
            code=one["code"], document=one["document"], subject=one["subject"], figures=say.Figures(**one["figures"]),
            silent=_groups(house, lines, one["code"], "silent"),
            undeliverable=_groups(house, lines, one["code"], "undeliverable"),
            rejected=_groups(house, lines, one["code"], "rejected"), note=one.get("note", ""),
            link=_page(house, "c", one["code"]),
        )
        for one in context["campaigns"]
    )  # fmt: skip
    kind = say.LeaderMail if context.get("template") == "leader" else say.DigestMail
    return kind(
        head=scene.head, recipient=context["name"], day=numbering.short_day(local(now).date()), campaigns=chapters,
        link=_page(house), more=context.get("more", 0), files=files_of(message, scene),
    )  # fmt: skip


def _page(house: House, *parts: str) -> str:
    return office_url(house.settings.portal_url, *parts)


def _groups(house: House, lines: list[Line], campaign: str, case: str) -> tuple[say.DigestGroup, ...]:
    found: dict[tuple[str, str], list[say.DigestRow]] = {}
    for line in lines:
        if line.campaign == campaign and line.case == case:
            row = say.DigestRow(
                code=line.code, name=line.name, deadline=line.due, reminders=line.reminders, note=line.reason,
                link=_page(house, "c", campaign, "d", line.delivery) if line.delivery else "",
            )  # fmt: skip
            found.setdefault((line.issuer, line.park), []).append(row)
    groups = found.items()
    return tuple(say.DigestGroup(investor=issuer, park=park, rows=tuple(rows)) for (issuer, park), rows in groups)
