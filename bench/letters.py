"""How fast letters are rendered and what they hold in memory, beside the bare engine compiling the same pages.

Each way runs in a process of its own, over the same letters, every one to another addressee:

  bare    one kept Typst compiler, the page's data ready before the clock starts, nothing but compile()
  ours    `Press.render`: words by Jinja2, the small HTML read, page, HTML and plain text, hash
  fresh   a new Typst compiler for each letter, as a first attempt would write it
  word    the same letter as .docx
  check   a signed file read and held against its draft, word for word

Run: python bench/letters.py [--letters 300]
Read the ratios; the absolute figures are the machine's.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

import typst

# The rest of the program is imported where it is used, so that the bare way's process holds the engine alone.
if TYPE_CHECKING:
    from congvan.letters.sheet import Sheet

ROOT = Path(__file__).parents[1]
TEMPLATES = ROOT / "templates" / "letters"
#: What is compiled before the clock starts: fonts are read, the page is remembered.
WARM = 5
#: What the engine is given for one letter, and its time stamp.
Main = tuple[bytes, int]


def sheets(count: int) -> list[Sheet]:
    """The letter of the 8184 plan, two pages, each to another addressee."""
    import yaml

    from congvan.letters.numbering import VIETNAM
    from congvan.letters.sheet import Sheet
    from congvan.rules.records import CampaignPlan

    text = (ROOT / "config" / "campaigns" / "8184.yaml").read_text("utf-8")
    plan = CampaignPlan.model_validate(yaml.safe_load(text))
    context = {
        "letter": plan.letter.model_dump(mode="json"),
        "directives": [one.model_dump(mode="json") for one in plan.directives],
        "deadline": datetime(2023, 12, 8, 17, tzinfo=VIETNAM),
    }
    return [
        Sheet(
            template="board", issuer="Ban Quản lý Mẫu", parent_authority="UBND thành phố", number=str(number),
            symbol="{number}/BQL-TH", place=plan.letter.place, issued_on=date(2023, 12, 1), context=context,
            subject=plan.letter.subject, addressees=(f"Công ty TNHH Mẫu {number}", *plan.letter.addressees),
            distribution=plan.letter.distribution, signer=plan.letter.signer,
        )
        for number in range(1, count + 1)
    ]  # fmt: skip


def mains_of(count: int) -> list[Main]:
    """What the engine is given for each letter, ready made."""
    from congvan.letters.press import _MAIN, Press, _stamp

    press, made = Press(TEMPLATES), []
    for sheet in sheets(count):
        frame, tree = press.composed(sheet)
        written = json.dumps({**frame, "body": tree}, ensure_ascii=False, separators=(",", ":"))
        made.append(((_MAIN % written.replace("\\", "\\\\").replace('"', '\\"')).encode(), _stamp(sheet)))
    return made


def _compiler() -> typst.Compiler:
    fonts = typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(TEMPLATES / "fonts")]
    )
    return typst.Compiler(b"", root=str(TEMPLATES), font_paths=fonts)


def bare(mains: list[Main]) -> Iterator[None]:
    """The engine alone."""
    compiler = _compiler()
    for main, stamp in mains:
        yield
        compiler.compile(main, format="pdf", timestamp=stamp)


def ours(mains: list[Main]) -> Iterator[None]:
    """A whole letter."""
    from congvan.letters.press import Press

    press = Press(TEMPLATES)
    for sheet in sheets(len(mains)):
        yield
        press.render(sheet)


def fresh(mains: list[Main]) -> Iterator[None]:
    """A compiler for each letter."""
    for main, stamp in mains[:40]:
        yield
        _compiler().compile(main, format="pdf", timestamp=stamp)


def word_copies(mains: list[Main]) -> Iterator[None]:
    """Copies for the clerk; a campaign has one or two."""
    from congvan.letters import word
    from congvan.letters.press import Press

    press = Press(TEMPLATES)
    for sheet in sheets(len(mains[:40])):
        yield
        word.document(press, sheet)


def checks(mains: list[Main]) -> Iterator[None]:
    """Signed files; a campaign has one or two."""
    from congvan.letters import comparing, upload
    from congvan.letters.press import Press

    press = Press(TEMPLATES)
    pairs = [(sheet, press.render(sheet)) for sheet in sheets(len(mains[:100]))]
    for sheet, rendered in pairs:
        yield
        found = comparing.compare(upload.read(rendered.pdf), comparing.approved(sheet, rendered))
        assert not found, found


WAYS: dict[str, Callable[[list[Main]], Iterator[None]]] = {
    "bare": bare, "ours": ours, "fresh": fresh, "word": word_copies, "check": checks,
}  # fmt: skip


def measure(name: str, mains: list[Main], pipe: Connection) -> None:
    """Send letters a second (CPU of this process and on the clock) and the peak of memory in MB."""
    way = WAYS[name](mains)
    done = 0
    for step, _ in enumerate(way):
        if step == WARM:
            wall, spent = time.perf_counter(), time.process_time()
        done = step + 1
    done -= WARM
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
    pipe.send((done / (time.perf_counter() - wall), done / (time.process_time() - spent), peak))


def run(name: str, mains: list[Main]) -> tuple[float, float, float]:
    """One way in a spawned process: a forked Typst would hang."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=measure, args=(name, mains, there))
    process.start()
    there.close()
    try:
        figures: tuple[float, float, float] = here.recv()
    finally:
        process.join()
    return figures


def main() -> None:
    """Measure every way and print it beside the bare engine."""
    parser = argparse.ArgumentParser(description="letters rendered, beside the bare engine")
    parser.add_argument("--letters", type=int, default=300)
    count = parser.parse_args().letters
    mains = mains_of(count + WARM)
    found = {name: run(name, mains) for name in WAYS}
    base = found["bare"]
    print(f"{count} letters of two pages; ratios to the bare engine on the same pages, by processor time")
    print(f"{'way':6} {'letters/s':>10} {'speed':>7} {'peak MB':>8} {'memory':>7}")
    for name, (wall, spent, peak) in found.items():
        print(f"{name:6} {wall:10.0f} {spent / base[1]:7.2f} {peak:8.0f} {peak / base[2]:7.2f}")
    from congvan.letters.press import Press

    first, again = (Press(TEMPLATES).render(sheets(1)[0]) for _ in range(2))
    same = "equal" if hashlib.sha256(first.pdf).digest() == hashlib.sha256(again.pdf).digest() else "DIFFERENT"
    print(f"two presses, one letter: {same} bytes")


if __name__ == "__main__":
    main()
