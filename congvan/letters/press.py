"""From a sheet to a letter: the words by Jinja2, the page by Typst, one source for mail, portal and PDF."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
import typst
import yaml
from markupsafe import Markup

from congvan.errors import NothingInstalled
from congvan.letters import faces, fragment, numbering, writing
from congvan.letters.filters import environment
from congvan.letters.frame import Head, frame_of
from congvan.letters.sheet import Sheet

_HEAD = re.compile(r"\A\{#-?(.*?)-?#\}", re.DOTALL)
_MAIN = '#import "/page.typ": letter\n#letter(json(bytes("%s")))\n'
_REGISTER = '#import "/register.typ": register\n#register(json(bytes("%s")))\n'
_DRAWING = '#set page(width: auto, height: auto, margin: 0pt)\n#image(bytes("%s"), format: "svg", width: %s)\n'


@dataclass(frozen=True, slots=True)
class Rendered:
    """A letter as it goes out. sha256 is that of the PDF's bytes.

    html: the words alone, a fragment of the small vocabulary (for mail and portal).
    text: the whole letter as plain text. page: the whole letter as HTML, header and signature block too.
    subject: the trích yếu as printed, without "V/v". body: the words as plain text.
    frame: all of the page but its body, as page.typ reads it.
    """

    pdf: bytes
    html: str
    text: str
    sha256: str
    subject: str = ""
    page: str = ""
    body: str = ""
    frame: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Composed:
    frame: dict[str, Any]
    body: fragment.Tree
    images: dict[str, str]


class Press:
    """Renders sheets. Safe to use from several threads; never forks (a forked Typst hangs for ever).

    templates: the folder of words templates, profiles, page.typ and fonts. Folders in `before` are
    looked at first, so an authority brings only what differs; a folder with a page.typ brings its
    fonts too.
    """

    def __init__(self, templates: Path, *before: Path) -> None:
        self._folders = (*before, templates)
        self._root = next((folder for folder in self._folders if (folder / "page.typ").is_file()), None)
        if self._root is None:
            raise NothingInstalled(f"không có page.typ trong {templates}")
        loader = jinja2.FileSystemLoader([str(folder) for folder in self._folders])
        self._words = environment(loader, autoescape=True)
        self._lines = environment(loader, autoescape=False)
        fonts = [str(folder / "fonts") for folder in self._folders if (folder / "fonts").is_dir()]
        # Only our own faces and those within Typst: on a machine with other fonts the bytes would differ.
        self._fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=True, font_paths=fonts)
        self._local = threading.local()
        self._head = lru_cache(maxsize=64)(self._read_head)
        self._profile = lru_cache(maxsize=8)(self._read_profile)

    def render(self, sheet: Sheet) -> Rendered:
        """The letter as PDF, HTML and text; equal sheets give equal bytes.

        Raise WordsRefused for HTML outside the vocabulary and for a stamp of secrecy, jinja2.UndefinedError
        for a name that the sheet's context lacks: no letter leaves with a hole.
        """
        composed = self._compose(sheet)
        text = self._text(composed)
        if stamp := numbering.secret_stamp(text):
            raise fragment.WordsRefused(f"«{stamp}»: văn bản mật không được gửi qua hệ thống này")
        pdf = self._print({**composed.frame, "body": composed.body}, sheet)
        return Rendered(
            pdf=pdf,
            html=writing.html(composed.body, composed.images),
            text=text,
            sha256=hashlib.sha256(pdf).hexdigest(),
            subject=composed.frame["document"]["subject"],
            page=self._page(composed),
            body=writing.plain(composed.body),
            frame=composed.frame,
        )

    def render_fragment(self, sheet: Sheet) -> str:
        """The words alone as HTML of the small vocabulary, without header and signature."""
        return writing.html(self._tree(sheet), sheet.images)

    def composed(self, sheet: Sheet) -> tuple[dict[str, Any], fragment.Tree]:
        """All of the page but its body, and the body's tree: for renditions that lay out by themselves."""
        made = self._compose(sheet)
        return made.frame, made.body

    def register(self, data: Mapping[str, Any]) -> bytes:
        """A register as PDF, A4 across: title, year, issuer, parent, illustration, columns, widths, rows."""
        written = json.dumps(faces.shown(data), ensure_ascii=False, separators=(",", ":"))
        main = _REGISTER % written.replace("\\", "\\\\").replace('"', '\\"')
        pdf = self._compiler().compile(main.encode(), format="pdf", timestamp=0)
        if not isinstance(pdf, bytes):
            raise TypeError(f"Typst gave {type(pdf).__name__} instead of one PDF")
        return pdf

    def picture(self, drawing: str, width_mm: float) -> bytes:
        """An SVG drawing as PNG, for renditions that show none."""
        written = drawing.replace("\\", "\\\\").replace('"', '\\"')
        main = _DRAWING % (written, f"{width_mm:g}mm")
        made = self._compiler().compile(main.encode(), format="png", ppi=220)
        if not isinstance(made, bytes):
            raise TypeError(f"Typst gave {type(made).__name__} instead of one picture")
        return made

    def file(self, name: str) -> Path | None:
        """A file beside the templates; the first folder that has it wins."""
        return next((path for folder in self._folders if (path := folder / name).is_file()), None)

    def kinds(self) -> tuple[str, ...]:
        """The stems of all words templates that can be rendered."""
        names = {path.stem for folder in self._folders for path in folder.glob("*.html")}
        return tuple(sorted(name for name in names if not name.startswith("_")))

    # ------------------------------------------------------------------ words

    def _compose(self, sheet: Sheet) -> _Composed:
        return _Composed(self.frame(sheet), faces.shown(self._tree(sheet)), dict(sheet.images))

    def frame(self, sheet: Sheet) -> dict[str, Any]:
        """All of the page but its body: what its head and its foot print."""
        head = self._head(sheet.template)
        values = _values(sheet)

        def fill(line: str, **more: str) -> str:
            written = self._lines.from_string(line).render(**values, **more) if "{" in line else line
            return " ".join(written.split())

        framed: dict[str, Any] = faces.shown(frame_of(sheet, head, self._profile(head.profile), fill))
        return framed

    def _tree(self, sheet: Sheet) -> fragment.Tree:
        template = self._words.get_template(f"{sheet.template}.html")
        written = template.render(_values(sheet))
        return fragment.read(unicodedata.normalize("NFC", written))

    def _page(self, composed: _Composed) -> str:
        body = Markup(writing.html(composed.body, composed.images))
        return self._words.get_template("_paper.html").render(**composed.frame, body=body).strip()

    def _text(self, composed: _Composed) -> str:
        body = writing.plain(composed.body)
        written = self._lines.get_template("_paper.txt").render(**composed.frame, body=body)
        return re.sub(r"\n{3,}", "\n\n", written).strip() + "\n"

    def _read_head(self, stem: str) -> Head:
        source, _, _ = self._words.loader.get_source(self._words, f"{stem}.html")  # type: ignore[union-attr]
        found = _HEAD.match(source)
        return Head.model_validate(yaml.safe_load(found[1]) or {} if found else {})

    def _read_profile(self, name: str) -> dict[str, Any]:
        path = self.file(f"{name}.json")
        if path is None:
            raise NothingInstalled(f"không có {name}.json trong thư mục mẫu văn bản")
        profile: dict[str, Any] = json.loads(path.read_text("utf-8"))
        base = self._read_profile(profile["extends"]) if "extends" in profile else {}
        return {**base, **{key: _merged(base.get(key), value) for key, value in profile.items()}}

    # ------------------------------------------------------------------ page

    def _print(self, data: dict[str, Any], sheet: Sheet) -> bytes:
        written = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        main = _MAIN % written.replace("\\", "\\\\").replace('"', '\\"')
        pdf = self._compiler().compile(main.encode(), format="pdf", timestamp=_stamp(sheet))
        if not isinstance(pdf, bytes):
            raise TypeError(f"Typst gave {type(pdf).__name__} instead of one PDF")
        return pdf

    def _compiler(self) -> typst.Compiler:
        """This thread's compiler; kept, because it remembers the page and the fonts."""
        compiler = getattr(self._local, "compiler", None)
        if compiler is None:
            compiler = typst.Compiler(b"", root=str(self._root), font_paths=self._fonts)
            self._local.compiler = compiler
        return compiler


def _merged(base: Any, value: Any) -> Any:
    """A profile's part over the same part of the profile that it extends."""
    return {**base, **value} if isinstance(base, dict) and isinstance(value, dict) else value


def _values(sheet: Sheet) -> dict[str, Any]:
    return {"sheet": sheet, **sheet.context}


def _stamp(sheet: Sheet) -> int:
    """The PDF's creation time in Unix seconds: the letter's own date, so equal sheets give equal bytes."""
    day = sheet.issued_on
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) if day else 0
