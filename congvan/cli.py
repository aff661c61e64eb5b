"""The command line. It parses, and says how it ended: 0 done, 1 failed, 2 the input was wrong."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Sequence
from types import TracebackType

from cyclopts import App, CycloptsError, Parameter

from congvan.commands.headings import GROUPS, Help
from congvan.commands.synopsis import synopsis
from congvan.errors import BadInput, CongvanError, Fault

DONE, FAILED, WRONG = 0, 1, 2


def _version() -> str:
    from importlib.metadata import version

    return f"congvan {version('congvan')}"


app = App(
    name="congvan",
    version=_version,
    default_parameter=Parameter(negative=()),
    help_format="plaintext",
    help_formatter=Help(),
    exit_on_error=False,
    print_error=False,
    result_action="return_value",
    **GROUPS,
)
#: Command → where it lives; imported only when it is asked for, so that `--help` answers at once.
_COMMANDS = {
    "up": "running:up",
    "portal": "serving:portal",
    "doctor": "running:doctor",
    "migrate": "running:migrate",
    "simulate": "running:simulate",
    "registry": "registry:app",
    "lint": "plans:lint",
    "audience": "plans:audience",
    "join": "joining:join",
    "deadline": "calendar:deadline",
    "calendar": "calendar:app",
    "campaign": "campaigns:app",
    "status": "status:status",
    "letters": "letters:letters",
    "letter": "letters:app",
    "number": "numbers:app",
    "report": "reports:report",
    "register": "registers:register",
    "board": "board:app",
    "mail": "mail:app",
    "history": "mail:history",
    "reconcile": "mail:reconcile",
    "deliveries": "deliveries:deliveries",
    "confirm": "deliveries:confirm",
    "reject": "deliveries:reject",
    "forward": "deliveries:forward",
    "resend": "decisions:resend",
    "extend": "decisions:extend",
    "exempt": "decisions:exempt",
    "withdraw": "decisions:withdraw",
    "recalled": "decisions:recalled",
    "case": "decisions:case",
    "requests": "requests:requests",
    "decide": "requests:decide",
    "audit": "audit:audit",
    "retention": "audit:retention",
    "operator": "accounts:app",
}
for _name, _place in _COMMANDS.items():
    app.command(f"congvan.commands.{_place}", name=_name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status. None: what this process was started with."""
    if arguments is None:
        _as_program()
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = _run(given)
        sys.stdout.flush()
        return status
    except CycloptsError as error:
        from congvan.commands.wrong import fault_of

        return _wrong([fault_of(error)], json="--json" in given)
    except BadInput as error:
        return _wrong(error.faults, json="--json" in given)
    except BrokenPipeError:
        # Whoever read us has enough. Without this Python complains when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (CongvanError, OSError) as error:
        _say(f"congvan: {error}")
        return FAILED


def _run(given: list[str]) -> int:
    if not given or given in (["--help"], ["-h"], ["help"]):
        print(synopsis())
        return DONE
    return int(app(given) or DONE)


def _wrong(faults: Sequence[Fault], *, json: bool) -> int:
    """Every fault for the person, and as JSON for the script."""
    for fault in faults:
        _say(str(fault))
    if json:
        from dataclasses import asdict

        from congvan.commands.show import as_json

        as_json({"faults": [asdict(fault) for fault in faults]})
    return WRONG


def _debugging() -> bool:
    return os.environ.get("CONGVAN_DEBUG", "") not in ("", "0")


def _say(text: str) -> None:
    if _debugging():
        traceback.print_exc()
    print(text, file=sys.stderr)


def _as_program() -> None:
    """UTF-8 whatever the locale says, and one line instead of a stack for what nobody foresaw."""
    if not _debugging():
        # A database that could not be opened leaves its thread to find the loop closed; that is no news.
        threading.excepthook = lambda _: None
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="backslashreplace")
    sys.excepthook = _unforeseen


def _unforeseen(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if _debugging():
        traceback.print_exception(kind, error, trace)
        return
    first = (str(error).strip() or kind.__name__).splitlines()[0]
    print(f"congvan: lỗi ngoài dự kiến: {kind.__name__}: {first}", file=sys.stderr)
    print("Đặt CONGVAN_DEBUG=1 rồi chạy lại để xem chi tiết.", file=sys.stderr)
