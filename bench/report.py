"""The note: every section that is kept, as docs/performance.md."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench.figures import Section
from bench.outbox_world import ROOT

KEPT = ROOT / "bench" / "results.json"
NOTE = ROOT / "docs" / "performance.md"
_WORDS = ROOT / "bench" / "performance-words.md"
_CORES = {1: "one core", 2: "two cores", 4: "four cores", 8: "eight cores", 16: "sixteen cores"}


def made(command: str) -> dict[str, str]:
    """By what, from what and on what something was measured."""
    commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    versions = f"Python {platform.python_version()}, Prefect {version('prefect')}"
    return {
        "command": command, "commit": commit.stdout.strip(), "machine": _machine(), "versions": versions,
        "on": f"{datetime.now(UTC):%d/%m/%Y}",
    }  # fmt: skip


def _machine() -> str:
    cores = os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    kind = f"{platform.system()} on {platform.machine()}"
    return f"a virtual machine of {_CORES.get(cores, f'{cores} cores')} and {memory:.0f} GB of memory, {kind}"


def text(sections: Mapping[str, tuple[Section, Mapping[str, str]]]) -> str:
    """The whole note; its words stand in a file of their own."""
    lines = [_WORDS.read_text("utf-8").rstrip(), ""]
    for section, how in sections.values():
        lines += [f"## {section.title}", "", *shown(section), _by(how), ""]
    return "\n".join(lines)


def _by(how: Mapping[str, str]) -> str:
    return (
        f"*`{how['command']}` at commit {how['commit']} ({how['versions']}), on {how['on']}, on {how['machine']}.*"
    )


def shown(section: Section) -> list[str]:
    """A section's tables, as Markdown."""
    lines: list[str] = []
    if section.ratios:
        head = ("what", "against", "ratio (lowest–highest)", "target", "")
        lines += [*_table(head, [one.row() for one in section.ratios]), ""]
    if section.growths:
        head = ("growth", "sizes", "multiples of the first", "exponent")
        lines += [*_table(head, [one.row() for one in section.growths]), ""]
    for note in section.notes:
        lines += [note, ""]
    return lines + [f"Not measured: {one}.\n" for one in section.missing]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def write(path: Path, words: str) -> None:
    """The note as a file."""
    path.write_text(words, "utf-8")
