"""What stands around a letter's words: header, addressees, closing, as plain strings for every rendition."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, Protocol

from pydantic import Field

from congvan.letters import numbering
from congvan.letters.sheet import Appendix, Sheet
from congvan.rules.records import Code, Record, Text

#: Columns that only count the rows.
COUNTERS = frozenset({"STT", "TT", "Số TT", "No."})

_ABBREVIATED = re.compile(r"\b(?:Ltd|Co|Corp|Inc|Pte|Plc|Bhd|S\.A|B\.V|N\.V)\.$", re.IGNORECASE)


class Fill(Protocol):
    """Fills a line of a template's head with the names of the letter, and with `more`."""

    def __call__(self, line: str, **more: str) -> str:
        """The line as it is printed."""
        ...


class Head(Record):
    """The head of a words template: YAML in its first Jinja comment, every text a line of Jinja.

    frame        authority (NĐ 30: quốc hiệu, agency), company (letterhead) or plain (neither).
    profile      the file of sizes and places beside the template.
    title        type title in capitals; the subject then stands below it instead of as V/v.
    title_subject
                 how the subject is worded there: "Về việc {{ subject }}".
    what         what the letter is called where an appendix refers to it.
    subject, salutation, addressees, distribution
                 used where the sheet leaves them empty (salutation: always, if given).
    labels       words of the frame that differ from the profile's.
    """

    frame: Literal["authority", "company", "plain"] = "authority"
    profile: Code = "nd30_2020"
    language: str = "vi"
    title: Text = ""
    title_subject: Text = "{{ subject }}"
    what: Text = "Công văn"
    subject: Text = ""
    salutation: Text = ""
    addressees: tuple[Text, ...] = ()
    distribution: tuple[Text, ...] = ()
    labels: dict[str, Text] = Field(default_factory=dict)
    #: False: a form without Nơi nhận and signature.
    closes: bool = True


def frame_of(sheet: Sheet, head: Head, profile: Mapping[str, Any], fill: Fill) -> dict[str, Any]:
    """All of the page but its body; keys are those that page.typ and paper.html read."""
    labels = {**profile["labels"], **head.labels}
    subject = sheet.subject or fill(head.subject)
    title = fill(head.title).upper()
    return {
        "profile": {**profile, "labels": labels},
        "language": head.language,
        "frame": head.frame,
        "document": _metadata(sheet, title, subject),
        "parent": _name(sheet.parent_authority, sheet, profile) if head.frame == "authority" else "",
        "issuer": _name(sheet.issuer, sheet, profile),
        "english": sheet.issuer_name_en,
        "contact": _contact(sheet, labels),
        "number": _number(sheet, labels),
        "date": numbering.date_line(sheet.place, sheet.issued_on) if sheet.place else "",
        "title": title,
        "title_subject": fill(head.title_subject, subject=subject) if title and subject else "",
        "subject": f"{labels['subject']} {subject}".strip() if subject and not title else "",
        "stamp": numbering.STAMPS[sheet.urgency],
        "salutation": fill(head.salutation) or labels["salutation"],
        "addressees": _addressees(sheet.addressees or _filled(head.addressees, fill)),
        **_closing(sheet, head, fill),
        "footer": sheet.footer,
        "corner": list(sheet.corner),
        "internal": labels["internal"] if sheet.internal else "",
        "illustration": labels["illustration"] if sheet.illustration else "",
        "appendices": [_appendix(part, at, sheet, head, labels) for at, part in enumerate(sheet.appendices, 1)],
        "images": dict(sheet.images),
    }


def _name(name: str, sheet: Sheet, profile: Mapping[str, Any]) -> str:
    """A name in capitals for the header; its set phrases and the place break over no line."""
    written = name.upper()
    for phrase in (*profile.get("keep_together", ()), sheet.place.upper()):
        if phrase:
            written = written.replace(phrase, phrase.replace(" ", "\u00a0"))
    return written


def _metadata(sheet: Sheet, title: str, subject: str) -> dict[str, str]:
    name = " ".join(part for part in (title, sheet.code, subject) if part)
    return {"title": name or sheet.issuer, "author": sheet.issuer, "subject": subject}


def _filled(lines: tuple[str, ...], fill: Fill) -> tuple[str, ...]:
    return tuple(line for raw in lines if (line := fill(raw)))


def _contact(sheet: Sheet, labels: Mapping[str, str]) -> list[str]:
    """The letterhead's lines: the address, then telephone and tax code."""
    pairs = (("phone", sheet.issuer_phone), ("tax_code", sheet.issuer_tax_code))
    second = " - ".join(f"{labels[name]} {value}" for name, value in pairs if value)
    first = f"{labels['address']} {sheet.issuer_address}" if sheet.issuer_address else ""
    return [line for line in (first, second) if line]


def _number(sheet: Sheet, labels: Mapping[str, str]) -> str:
    if not sheet.symbol:
        return ""
    written = numbering.code(sheet.number, sheet.symbol, abbreviation=sheet.abbreviation, blank=numbering.BLANK_NUMBER)
    return f"{labels['number']} {written}"


def _addressees(names: tuple[str, ...]) -> list[str]:
    """Each ends with ";", the last with "."; a single one stands bare (Phụ lục I, mục II.9a)."""
    bare = [_bare(name) for name in names]
    return bare if len(bare) < 2 else [f"{name};" for name in bare[:-1]] + [_stopped(bare[-1])]


def _bare(name: str) -> str:
    """A name without the mark that ends its line; "Co., Ltd." keeps the dot that is its own."""
    name = name.rstrip(" ;,")
    return name if _ABBREVIATED.search(name) else name.rstrip(" ;.,")


def _stopped(name: str) -> str:
    return name if name.endswith(".") else f"{name}."


def _closing(sheet: Sheet, head: Head, fill: Fill) -> dict[str, Any]:
    signer = sheet.signer if head.closes else None
    lines = (sheet.distribution or _filled(head.distribution, fill)) if head.closes else ()
    return {
        "authority": signer.authority.upper() if signer else "",
        "position": signer.position.upper() if signer else "",
        "signer": signer.name if signer else "",
        "distribution": _addressees(lines) if len(lines) > 1 else [_stopped(_bare(line)) for line in lines],
        "drafter": sheet.drafter if head.closes else "",
    }


def _appendix(part: Appendix, at: int, sheet: Sheet, head: Head, labels: Mapping[str, str]) -> dict[str, Any]:
    """An appendix with its number (only where there are several) and its line of reference.

    The blanks of that line are not filled in on an electronic document (Phụ lục I, mục III.1d).
    """
    several = len(sheet.appendices) > 1
    reference = labels["appendix_reference"].format(
        what=head.what,
        code=numbering.code("", sheet.symbol, abbreviation=sheet.abbreviation, blank="     "),
        day="     /     /     ",
        issuer=sheet.issuer,
    )
    name = labels["appendix"]
    return {
        **part.model_dump(mode="json", exclude={"title"}),
        "widths": list(part.widths) or ["auto" if name in COUNTERS else "1fr" for name in part.columns],
        "title": part.title.upper(),
        "number": f"{name} {numbering.roman(at)}" if several else name,
        "reference": reference,
    }
