"""Plans and cascades as people write them: YAML → records, or every fault with its line and a remedy."""

from __future__ import annotations

import hashlib
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from congvan.errors import BadInput, Fault
from congvan.plan_check import check, check_cascade
from congvan.registry.faults import explain, shown
from congvan.rules.names import illegible
from congvan.rules.records import CampaignPlan, Cascade

__all__ = ["check", "check_cascade", "filled_in", "lines_of", "read_cascade", "read_plan", "read_record"]

M = TypeVar("M", bound=BaseModel)
Place = tuple[str | int, ...]

#: A plan with four letters in full is about 20 kB.
LARGEST_FILE_BYTES = 1024 * 1024
_MOST_NODES = 50_000
_DEEPEST = 40
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_PLAIN_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))
_SAVE_AS_UTF8 = "lưu lại tệp theo bảng mã UTF-8"


def read_plan(path: Path) -> tuple[CampaignPlan, str]:
    """The plan and the SHA-256 (hex) of the file's bytes; raise BadInput with every fault."""
    return read_record(path, CampaignPlan)


def read_cascade(path: Path) -> Cascade:
    """The cascade; raise BadInput with every fault."""
    return read_record(path, Cascade)[0]


def read_record(path: Path, model: type[M]) -> tuple[M, str]:
    """A record of this model and the SHA-256 (hex) of the file's bytes; raise BadInput.

    Every plain value is handed to the model as text, which then decides what it is: in YAML 1.1 an
    unquoted 17:00 is the number 1020, 0123 is 83 and NO is false. A name without a value counts as
    not written.
    """
    data = _bytes(path)
    document = _load(str(path), data)
    return _modelled(document.value, model, document.file, document.line), hashlib.sha256(data).hexdigest()


def filled_in(given: object, model: type[M], form: str, place: Place = ()) -> M:
    """A record of this model from the values of a form; raise BadInput with the faults that a file would have.

    form: what the form is called. place: where in a plan the record stands, for the names of its entries.
    """
    return _modelled(given, model, form, lambda _: None, place)


def _modelled(
    value: object, model: type[M], file: str, line: Callable[[Place], int | None], place: Place = ()
) -> M:  # fmt: skip
    try:
        return model.model_validate(value)
    except ValidationError as error:
        known = _field_names(model)
        raise BadInput(
            Fault(file, dotted((*place, *one["loc"])), *explain(one, known), line(one["loc"]))
            for one in _told_once(error.errors(include_url=False))
        ) from None


def lines_of(path: Path) -> dict[str, int]:
    """The line of every entry of a YAML file by its dotted name, for faults that are found later."""
    document = _load(str(path), _bytes(path))
    return {dotted(place): line for place, line in document.lines.items()}


def dotted(place: Sequence[str | int]) -> str:
    """The name of an entry: ("directives", 0, "number") → "directives[1].number", counted from 1."""
    text = ""
    for part in place:
        if part == "[key]":
            continue
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


@dataclass(slots=True)
class _Document:
    """The values of a YAML file, and the line on which each stands (from 1)."""

    file: str
    value: object = None
    lines: dict[Place, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    nodes: int = 0

    def line(self, place: Sequence[str | int]) -> int | None:
        """The line of an entry, or of the nearest one above it."""
        for length in range(len(place), -1, -1):
            if (found := self.lines.get(tuple(place[:length]))) is not None:
                return found
        return None

    def fault(self, place: Place, node: yaml.Node, message: str, remedy: str) -> None:
        self.faults.append(Fault(self.file, dotted(place), message, remedy, node.start_mark.line + 1))


def _bytes(path: Path) -> bytes:
    file = str(path)
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise BadInput([Fault(file, "", "tệp lớn hơn 1 MB", "kế hoạch chỉ chứa chữ; để tệp kèm theo ra ngoài")])
        data = path.read_bytes()
    except OSError as error:
        remedy = "kiểm tra đường dẫn và quyền đọc"
        raise BadInput([Fault(file, "", f"không đọc được tệp ({error.strerror})", remedy)]) from error
    if not data.strip():
        raise BadInput([Fault(file, "", "tệp rỗng", "chọn đúng tệp kế hoạch")])
    return data


def _load(file: str, data: bytes) -> _Document:
    text = _text(file, data)
    try:
        node = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise BadInput([_syntax(file, error)]) from error
    except RecursionError as error:
        raise BadInput([Fault(file, "", "các mục lồng nhau quá sâu", "viết lại cho gọn")]) from error
    except (ValueError, OverflowError) as error:  # an escape beyond Unicode
        raise BadInput([_beyond(file, text)]) from error
    document = _Document(file)
    if node is None:
        raise BadInput([Fault(file, "", "tệp không có nội dung", "chọn đúng tệp kế hoạch")])
    document.value = _value(document, node, ())
    if document.faults:
        raise BadInput(document.faults)
    return document


def _text(file: str, data: bytes) -> str:
    """The text in NFC without its byte order mark (line ends are the parser's business)."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise BadInput([Fault(file, "", "tệp không theo bảng mã UTF-8", _SAVE_AS_UTF8, line)]) from error
    return unicodedata.normalize("NFC", text)


def _syntax(file: str, error: yaml.YAMLError) -> Fault:
    problem, line = str(getattr(error, "problem", None) or error), None
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        line = error.problem_mark.line + 1
    if "\\t" in problem:
        return Fault(file, "", "dùng phím tab để thụt dòng", "thay phím tab bằng dấu cách", line)
    if isinstance(error, yaml.reader.ReaderError):
        return Fault(file, "", f"ký tự không đọc được (U+{ord(chr(int(error.character))):04X})", _SAVE_AS_UTF8)
    remedy = "kiểm tra thụt dòng, dấu hai chấm và dấu nháy; đặt giá trị có dấu hai chấm trong dấu nháy kép"
    return Fault(file, "", f"sai cú pháp YAML ({shown(problem, 100)})", remedy, line)


def _beyond(file: str, text: str) -> Fault:
    places = (one.start() for one in re.finditer(r"\\U([0-9A-Fa-f]{8})", text) if int(one[1], 16) > sys.maxunicode)
    line = next((text.count("\n", 0, place) + 1 for place in places), None)
    return Fault(file, "", "mã ký tự \\U… không có trong Unicode", "gõ thẳng ký tự cần viết", line)


def _value(document: _Document, node: yaml.Node, place: Place) -> object:
    """The value of a node; counts nodes, so that entries that repeat each other (&, *) cannot multiply."""
    document.nodes += 1
    if document.nodes > _MOST_NODES or len(place) > _DEEPEST:
        raise BadInput([Fault(document.file, dotted(place[:4]), "quá nhiều mục hoặc lồng quá sâu", "viết lại cho gọn")])
    document.lines.setdefault(place, node.start_mark.line + 1)
    if node.tag not in _PLAIN_TAGS:
        document.fault(place, node, f"kiểu «{shown(node.tag)}» không được phép", "bỏ dấu ! và tên kiểu")
    if isinstance(node, yaml.MappingNode):
        return dict(_entries(document, node, place))
    if isinstance(node, yaml.SequenceNode):
        return [_value(document, one, (*place, number)) for number, one in enumerate(node.value)]
    _legible(document, node, node.value, place)
    plain = isinstance(node, yaml.ScalarNode) and node.style is None
    return None if plain and node.value in _NULL else node.value


def _legible(document: _Document, node: yaml.Node, text: str, place: Place) -> None:
    if strange := illegible(text):
        document.fault(place, node, f"ký tự không đọc được ({strange})", "gõ lại giá trị, bỏ mã có dấu \\")


def _entries(document: _Document, node: yaml.MappingNode, place: Place) -> Iterator[tuple[str, object]]:
    seen: set[str] = set()
    for key, value in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else shown(key.start_mark)
        if not isinstance(key, yaml.ScalarNode):
            document.fault(place, key, "tên mục phải là một chữ", "viết tên mục rồi dấu hai chấm")
        elif name in seen:
            document.fault((*place, name), key, "mục này được viết hai lần", "giữ lại một mục")
        seen.add(name)
        _legible(document, key, name, place)
        document.lines[(*place, name)] = key.start_mark.line + 1
        read = _value(document, value, (*place, name))
        if read is not None:
            yield name, read


def _told_once(errors: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Without the lists that are only too short because the entries in them are wrong."""
    inside = {one["loc"][:length] for one in errors for length in range(len(one["loc"]))}
    return [one for one in errors if not (one["type"] == "too_short" and one["loc"] in inside)]


def _field_names(model: type[BaseModel]) -> set[str]:
    """Every field name of a model and of the models inside it."""
    schema = model.model_json_schema()
    parts = [schema, *schema.get("$defs", {}).values()]
    return {name for part in parts for name in part.get("properties", {})}
