"""What `--help` calls things, in Vietnamese: the headings of its parts, and the words that Cyclopts puts between."""

from __future__ import annotations

from functools import cache
from typing import Any

from cyclopts import App, Group

GROUPS: dict[str, Any] = {
    "group_commands": Group("Lệnh"), "group_arguments": Group("Giá trị"), "group_parameters": Group("Tùy chọn"),
}  # fmt: skip
_WORDS = (
    ("Usage: ", "Cách dùng: "), (" [required]", " [bắt buộc]"), (" [default: False]", ""), (' [default: ""]', ""),
    (" [default: ", " [không ghi: "), (" [choices: ", " [một trong: "),
    ("Display this message and exit.", "Xem phần này."), ("Display application version.", "Xem phiên bản."),
)  # fmt: skip


def part(name: str, words: str) -> App:
    """The commands under one name, with the headings of all others."""
    return App(name=name, help=words, **GROUPS)


class Help:
    """Cyclopts' plain form of help, loaded only where somebody asks for help."""

    def __call__(self, console: Any, options: Any, panel: Any) -> None:
        """Print one part of the help."""
        _plain()(console, options, panel)

    def render_usage(self, console: Any, options: Any, usage: Any) -> None:
        """Print how the command is written."""
        _plain().render_usage(console, options, usage)

    def render_description(self, console: Any, options: Any, description: Any) -> None:
        """Print what the command does."""
        _plain().render_description(console, options, description)


@cache
def _plain() -> Any:
    from cyclopts.help.formatters.plain import PlainFormatter

    class Vietnamese(PlainFormatter):
        def _print_plain(self, console: Any, text: str) -> None:
            for theirs, ours in _WORDS:
                text = text.replace(theirs, ours)
            super()._print_plain(console, text)

    return Vietnamese()
