"""`congvan doctor`: every part is looked at, every fault has its remedy, nothing is changed."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

import orjson
import pytest
import yaml

from congvan.acts import reconciling
from congvan.almanac import CalendarFile, Window
from congvan.doctor.examine import announced
from congvan.house import House
from congvan.settings import Settings
from tests.contract.conftest import Desk
from tests.contract.smtp_faulty import certificate

SAID: list[bytes] = []
#: The deployment of the hops, as far as it is asked.
HOP = {"paused": False, "work_pool_name": "congvan", "schedules": [{"active": True}]}
#: As our units, containers and `congvan up` start Prefect's server.
SERVICES = {"cancellation_cleanup": False, "pause_expirations": False, "db_vacuum": ["flow_runs", "events"]}


class Ehlo(StreamRequestHandler):
    """A mail server that greets, knows no password and remembers what it was told."""

    #: Whom it greets; empty: everybody.
    wanted = b""

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        for line in self.rfile:
            SAID.append(line.strip())
            self.wfile.write(self._answer(*line.split()[:2]))

    def _answer(self, verb: bytes, name: bytes = b"") -> bytes:
        if verb.upper() == b"AUTH":
            return b"535 5.7.8 no such user or password\r\n"
        if self.wanted not in (b"", name):
            return b"504 5.5.2 I need a name that I can look up\r\n"
        return b"250-here\r\n250-AUTH PLAIN\r\n250 SMTPUTF8\r\n"


class Secured(ThreadingTCPServer):
    """The same behind TLS, without which no password is sent."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context
        super().__init__(("127.0.0.1", 0), Ehlo)

    def get_request(self) -> Any:
        taken, peer = super().get_request()
        return self.context.wrap_socket(taken, server_side=True), peer


class Health(BaseHTTPRequestHandler):
    """A Prefect server, as far as the doctor asks it."""

    date = ""
    status = 200
    #: The services that it runs beside its API: what each setting says.
    services: dict[str, Any] = {}  # noqa: RUF012 - set whole, never filled
    #: What it has of us, as its API gives it; None: nothing was ever registered. A word: the password it wants.
    hop: dict[str, Any] | None = None
    workers: tuple[str, ...] = ()
    automations: dict[str, bool] = {}  # noqa: RUF012 - set whole, never filled
    word = ""

    def do_GET(self) -> None:
        if self.path == "/api/health":
            self._answer(self.status, True)
        elif self.path == "/api/admin/settings":
            services = {name: {"enabled": value} for name, value in self.services.items()}
            self._answer(200, {"server": {"services": services}})
        elif self.path == "/api/deployments/name/hop/congvan" and self.hop is not None:
            self._answer(self.status, self.hop)
        else:
            self._answer(404, {"detail": "not here"})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/api/automations/filter":
            self._answer(200, [{"name": name, "enabled": on} for name, on in self.automations.items()])
        elif self.path == "/api/work_pools/congvan/workers/filter":
            self._answer(200, [{"status": one} for one in self.workers])
        else:
            self._answer(404, {"detail": "not here"})

    def _answer(self, status: int, said: object) -> None:
        wanted = f"Basic {b64encode(self.word.encode()).decode()}"
        if self.word and self.path != "/api/health" and self.headers["Authorization"] != wanted:
            status, said = 401, {"exception_message": "Unauthorized"}
        self.send_response_only(status)
        if self.date:
            self.send_header("Date", self.date)
        self.end_headers()
        self.wfile.write(orjson.dumps(said))

    def log_message(self, *_: Any) -> None:
        pass


def _shipped() -> list[str]:
    folder = Path(__file__).parents[2] / "config" / "automations"
    return [yaml.safe_load(path.read_text("utf-8"))["name"] for path in folder.glob("*.yaml")]


@contextmanager
def serving(server: Any) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def healthy(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A desk at which everything is as it should be."""
    desk.must("registry", "import", desk.registry)
    SAID.clear()
    monkeypatch.setattr(Health, "date", "")
    monkeypatch.setattr(Health, "status", 200)
    monkeypatch.setattr(Health, "hop", HOP)
    monkeypatch.setattr(Health, "services", dict(SERVICES))
    monkeypatch.setattr(Health, "workers", ("OFFLINE", "ONLINE"))
    monkeypatch.setattr(Health, "automations", dict.fromkeys(_shipped(), True))
    monkeypatch.setattr(Health, "word", "")
    with (
        serving(ThreadingTCPServer(("127.0.0.1", 0), Ehlo)) as smtp,
        serving(ThreadingHTTPServer(("127.0.0.1", 0), Health)) as prefect,
    ):
        monkeypatch.setenv("CONGVAN_SMTP_URL", f"smtp://127.0.0.1:{smtp}")
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{prefect}/api")
        yield desk


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("hop", None, "chưa đăng ký"),
        ("hop", HOP | {"paused": True, "work_pool_name": None}, "không chặng nào được mở"),
        ("hop", HOP | {"schedules": [{"active": False}]}, "không chặng nào được mở"),
        ("automations", {}, "thiếu automation"),
        ("automations", dict.fromkeys(_shipped(), False), "đang tắt"),
    ],
)
def test_what_prefect_lacks_of_us_or_an_operator_switched_off_is_warned_of(
    healthy: Desk, monkeypatch: pytest.MonkeyPatch, name: str, value: object, words: str
) -> None:
    """An operator may have meant it, and a first start registers everything: nothing is broken."""
    monkeypatch.setattr(Health, name, value)
    checks = healthy.must("doctor", "--json").json["checks"]
    warned = [one for one in checks if one["name"] == "Prefect" and one["remedy"]]
    assert warned
    assert all(words in one["message"] for one in warned)
    assert len(warned) == (len(_shipped()) if name == "automations" else 1)


def test_a_work_pool_whose_workers_are_all_gone_is_a_fault(healthy: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Health, "workers", ("OFFLINE",))
    (found,) = faults(healthy)
    assert "flows.worker" in found["remedy"]


def test_prefects_password_is_used_and_asked_for_where_it_is_missing(
    healthy: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for word in ("admin:mật:khẩu", "một-chữ"):
        monkeypatch.setattr(Health, "word", word)
        monkeypatch.delenv("PREFECT_API_AUTH_STRING", raising=False)
        (found,) = faults(healthy)
        assert "PREFECT_API_AUTH_STRING" in found["remedy"]
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", word)
        assert faults(healthy) == []


@pytest.mark.parametrize("value", [True, ["events", "flow_runs", "orphans"]])
def test_prefect_may_be_told_in_its_other_words_to_forget_old_runs(
    healthy: Desk, monkeypatch: pytest.MonkeyPatch, value: object
) -> None:
    monkeypatch.setattr(Health, "services", SERVICES | {"db_vacuum": value})
    assert faults(healthy) == []


@pytest.mark.parametrize(
    ("service", "value"),
    [
        ("cancellation_cleanup", True), ("pause_expirations", True), ("db_vacuum", ["events"]),
        ("db_vacuum", ["flow_runs"]), ("db_vacuum", False), ("db_vacuum", None),
    ],
)  # fmt: skip
def test_a_prefect_server_that_was_started_otherwise_is_a_fault_wherever_it_has_that_from(
    healthy: Desk, monkeypatch: pytest.MonkeyPatch, service: str, value: object
) -> None:
    monkeypatch.setattr(Health, "services", SERVICES | {service: value})
    (found,) = faults(healthy)
    assert f"PREFECT_SERVER_SERVICES_{service.upper()}_ENABLED" in found["remedy"]


@pytest.mark.parametrize("services", [{}, {"db_vacuum": []}])
def test_an_answer_that_is_not_prefects_is_a_fault_and_no_error(
    healthy: Desk, monkeypatch: pytest.MonkeyPatch, services: dict[str, object]
) -> None:
    monkeypatch.setattr(Health, "services", services)
    (found,) = faults(healthy)
    assert "không đọc được" in found["message"]


def _uncounted(text: str) -> str:
    return re.sub(r"\d+", "#", text)


def faults(desk: Desk) -> list[dict[str, Any]]:
    """What is wrong; each with a remedy, in JSON as in the lines, and nothing changed by looking."""
    before = desk.dump()
    ran = desk.run("doctor", "--json")
    found = [one for one in ran.json["checks"] if not one["good"]]
    assert ran.status == (1 if found else 0)
    assert all(one["remedy"] for one in found)
    shown = desk.run("doctor").out
    assert shown.count("FAULT") == len(found)
    # A second may have passed between the two, and some messages count seconds.
    assert all(_uncounted(f"{one['message']} → {one['remedy']}") in _uncounted(shown) for one in found)
    assert desk.dump() == before
    return found


def test_a_healthy_house_has_no_fault_and_every_part_was_looked_at(healthy: Desk) -> None:
    assert faults(healthy) == []
    names = {one["name"] for one in healthy.must("doctor", "--json").json["checks"]}
    assert names == {"cấu hình", "lịch", "khóa", "cơ sở dữ liệu", "danh bạ", "thư đi", "thư đến", "Prefect", "đồng hồ"}


def test_the_mail_server_is_greeted_and_asked_for_nothing(healthy: Desk) -> None:
    healthy.must("doctor")
    assert SAID
    assert all(line.lower().startswith(b"ehlo ") for line in SAID)


def test_before_anything_was_used_the_doctor_makes_nothing(desk: Desk) -> None:
    desk.run("doctor")
    assert not desk.home.exists()


@pytest.mark.parametrize(
    ("name", "value", "part", "words"),
    [
        ("CONGVAN_SMTP_URL", "smtp://127.0.0.1:9", "thư đi", "không trả lời"),
        ("CONGVAN_SMTP_URL", "mailto:x", "thư đi", "CONGVAN_SMTP_URL"),
        ("CONGVAN_SMTP_URL", "smtp://congvan:kin-lam/x@mail", "thư đi", "không đọc được"),
        ("CONGVAN_SMTP_URL", "smtp://hoa@127.0.0.1?tls=none", "thư đi", "password in clear"),
        ("CONGVAN_IMAP_URL", "imap://congvan:kin-lam@127.0.0.1:9", "thư đến", "congvan@127.0.0.1/INBOX"),
        ("CONGVAN_IMAP_URL", "pop3://congvan@127.0.0.1", "thư đến", "CONGVAN_IMAP_URL"),
        ("CONGVAN_DKIM_DOMAIN", "bql.example", "chữ ký DKIM", "CONGVAN_DKIM"),
        ("PREFECT_API_URL", "http://127.0.0.1:9/api", "Prefect", "không trả lời"),
        ("PREFECT_API_URL", "", "Prefect", "chưa đặt"),
        ("CONGVAN_SECRET_KEYS", "short", "khóa", "quá ngắn"),
        ("CONGVAN_DATABASE_URL", "postgresql+asyncpg://hoa:kin-lam@127.0.0.1:9/c", "cơ sở dữ liệu", "127.0.0.1"),
        ("CONGVAN_DATABASE_URL", "nonsense", "cơ sở dữ liệu", "CONGVAN_DATABASE_URL"),
        ("CONGVAN_CASCADE", "khong-co.yaml", "cấu hình", "khong-co.yaml"),
        ("CONGVAN_SMTP_CONNECTIONS", "0", "cấu hình", "CONGVAN_SMTP_CONNECTIONS"),
        ("CONGVAN_TEMPLATES", "/nowhere", "cấu hình", "/nowhere"),
        ("CONGVAN_CONFIG", "/nowhere", "cấu hình", "form.yaml"),
        ("CONGVAN_SMTP_URL", "smtp://a..b:25", "thư đi", "không trả lời"),
        ("CONGVAN_MAIL_FROM", "abc", "cấu hình", "«abc»"),
        ("CONGVAN_MAIL_FROM", "Ban <vanthu@bql.vn>", "cấu hình", "CONGVAN_MAIL_FROM"),
        ("CONGVAN_MAIL_FROM", "ban.quan.ly.kcn.abc@bql.vn", "cấu hình", "CONGVAN_MAIL_FROM"),
        ("CONGVAN_MTA_LOG", "/nowhere/mail.log", "nhật ký máy chủ thư", "/nowhere/mail.log"),
    ],
)
def test_what_is_set_wrongly_is_a_fault_of_its_part(
    healthy: Desk, monkeypatch: pytest.MonkeyPatch, name: str, value: str, part: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    found = faults(healthy)
    assert any(one["name"] == part and words in one["message"] for one in found), found
    assert "kin-lam" not in str(found)


def test_what_is_set_to_nothing_is_not_set(healthy: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands in a file of settings; an empty path would be the working directory."""
    for name in ("MTA_LOG", "LETTERS", "DKIM_KEY_FILE", "CONFIG", "TEMPLATES"):
        monkeypatch.setenv(f"CONGVAN_{name}", "")
    assert faults(healthy) == []
    monkeypatch.setenv("CONGVAN_CASCADE", "")
    assert Settings().cascade is None


def test_mail_that_leads_nobody_back_is_warned_of(healthy: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    warned = [line for line in healthy.must("doctor").out.splitlines() if line.startswith("WARN")]
    for name in ("CONGVAN_MAIL_FROM", "CONGVAN_PORTAL_URL"):
        assert any(name in line for line in warned), name
    monkeypatch.setenv("CONGVAN_MAIL_FROM", "vanthu@bql.vn")
    monkeypatch.setenv("CONGVAN_PORTAL_URL", "https://congvan.bql.vn")
    assert not re.search("WARN.*(MAIL_FROM|PORTAL_URL)", healthy.must("doctor").out)


def test_a_mail_server_that_does_not_take_our_name_is_a_fault_with_the_name(
    healthy: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ehlo, "wanted", b"congvan.bql.vn")
    (found,) = faults(healthy)
    assert "«localhost»" in found["message"], "the name that mail would be sent under"
    assert "helo=" in found["remedy"]
    monkeypatch.setenv("CONGVAN_SMTP_URL", f"{os.environ['CONGVAN_SMTP_URL']}?helo=congvan.bql.vn")
    assert faults(healthy) == []


def test_a_wrong_password_of_the_mail_server_is_a_fault(
    healthy: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, trusted = certificate(tmp_path, "127.0.0.1")
    with serving(Secured(context)) as port:
        monkeypatch.setenv("CONGVAN_SMTP_URL", f"smtps://congvan:kin-lam@127.0.0.1:{port}?ca={trusted}")
        (found,) = faults(healthy)
    assert "535" in found["message"]
    assert "kin-lam" not in str(found)


def test_a_schema_of_another_version_is_a_fault(healthy: Desk) -> None:
    connection = sqlite3.connect(healthy.home / "congvan.db")
    connection.execute("UPDATE alembic_version SET version_num = '0000'")
    connection.commit()
    connection.close()
    (found,) = faults(healthy)
    assert "congvan migrate" in found["remedy"]


def test_a_count_of_mails_that_cannot_be_read_is_not_called_a_backup(healthy: Desk) -> None:
    """Nobody has restored anything; nothing leaves all the same until somebody has answered."""
    (healthy.home / "watermark.json").write_bytes(b"{")
    (found,) = faults(healthy)
    assert "watermark.json không đọc được: không thư nào được gửi đi" in found["message"]
    assert "congvan reconcile" in found["remedy"]


def test_a_database_from_a_backup_is_a_fault_until_a_person_has_reconciled_it(healthy: Desk) -> None:
    async def claimed(house: House) -> str:
        gate = reconciling.Watermark(house)
        async with house.store.act() as ledger:
            await gate.raised(ledger)
        gate.write()
        async with house.store.view() as ledger:
            return str((await ledger.note("mail-watermark"))["id"])

    key = healthy.within(claimed)
    marks = orjson.loads((healthy.home / "watermark.json").read_bytes())
    marks[key]["count"] += 1
    (healthy.home / "watermark.json").write_bytes(orjson.dumps(marks))
    (found,) = faults(healthy)
    assert "congvan reconcile" in found["remedy"]
    assert healthy.run("reconcile", "--by", "Lan").status == 2, "neither way was chosen"
    done = healthy.must("reconcile", "--assume-sent", "--by", "Lan", "--json")
    assert done.json == {"in_log": 0, "resent": 0, "assumed": 0}
    assert faults(healthy) == []
    assert healthy.run("reconcile", "--resend", "--by", "Lan").status == 1, "nothing is left to be answered"


def test_a_mailbox_of_the_ladder_that_has_run_out_is_a_fault(healthy: Desk) -> None:
    healthy.change(healthy.registry / "contacts.csv", "lãnh đạo,,1,,,", "lãnh đạo,,1,,,01/01/2020")
    healthy.must("registry", "import", healthy.registry)
    assert any(one["name"] == "danh bạ" and "LDB" in one["message"] for one in faults(healthy))


@pytest.mark.parametrize(
    ("today", "until", "missing"),
    [
        (date(2026, 10, 31), 2026, []),
        (date(2026, 11, 1), 2026, ["năm 2027 là tạm tính"]),
        (date(2027, 1, 2), 2026, ["năm 2027 là tạm tính", "chưa ghi ngày nào của năm 2028"]),
        (date(2027, 1, 2), 2027, ["chưa ghi ngày nào của năm 2028"]),
    ],
)
def test_days_off_that_nobody_has_announced_are_warned_of_before_terms_reach_them(
    today: date, until: int, missing: list[str]
) -> None:
    tet = Window.model_validate({"from": "2027-02-02", "to": "2027-02-11"})
    found = announced(CalendarFile(official_until=until, quiet=(tet,)), today)
    assert all(one.good for one in found)
    warned = [one for one in found if one.remedy]
    assert len(warned) == len(missing)
    assert all(words in one.message for words, one in zip(missing, warned, strict=True))


def test_a_calendar_that_has_run_out_is_a_warning_and_no_fault(
    healthy: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = Settings().config
    for name in ("form.yaml", "shared_domains.yaml"):
        shutil.copy(shipped / name, healthy.folder)
    (healthy.folder / "calendar.yaml").write_text("official_until: 2020\n", "utf-8")
    monkeypatch.setenv("CONGVAN_CONFIG", str(healthy.folder))
    assert faults(healthy) == []
    assert "WARN  lịch: ngày nghỉ chính thức mới có đến hết năm 2020" in healthy.must("doctor").out


@pytest.mark.parametrize("held", [b"", b"\n", b"too-short", b"\xff" * 40], ids=ascii)
def test_a_key_file_that_holds_no_key_is_a_fault_and_signs_nothing(healthy: Desk, held: bytes) -> None:
    """As a full disk leaves it: whoever knows that it is empty could sign every link."""
    (healthy.home / "secret.key").write_bytes(held)
    found = faults(healthy)
    assert any(one["name"] == "khóa" and "bản sao lưu" in one["remedy"] for one in found)
    assert not any(one["name"] == "cơ sở dữ liệu" and "CONGVAN_DATABASE_URL" in one["message"] for one in found)
    assert healthy.run("status").status == 1
    assert (healthy.home / "secret.key").read_bytes() == held, "a person decides"


def test_a_key_that_others_can_read_is_a_fault(healthy: Desk) -> None:
    (healthy.home / "secret.key").chmod(0o644)
    (found,) = faults(healthy)
    assert found["name"] == "khóa"
    assert "chmod 600" in found["remedy"]


def test_a_clock_behind_the_log_or_apart_from_prefects_is_a_fault(
    healthy: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Health, "date", "Fri, 01 Dec 2023 01:00:00 GMT")
    (found,) = faults(healthy)
    assert found["name"] == "đồng hồ"
    assert "Prefect" in found["message"]
    monkeypatch.setattr(Health, "date", "")
    healthy.must("campaign", "launch", healthy.plan, "--mode", "exercise")
    connection = sqlite3.connect(healthy.home / "congvan.db")
    connection.execute("UPDATE events SET at = '2999-01-01 00:00:00.000000'")
    connection.commit()
    connection.close()
    (found,) = faults(healthy)
    assert "sớm hơn sự kiện" in found["message"]


def test_a_prefect_server_that_is_ill_is_a_fault(healthy: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Health, "status", 503)
    (found,) = faults(healthy)
    assert found["name"] == "Prefect"
