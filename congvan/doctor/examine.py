"""Every check, one function for each part; what is wrong carries its remedy, in the words of whoever has to act.
(Longer than a file should be: the parts are read in the order in which a person would repair them.)"""

from __future__ import annotations

import asyncio
import os
import smtplib
import stat
from datetime import date, datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from congvan.acts import reconciling, registry
from congvan.acts.composing import dkim_signer, is_reserved
from congvan.almanac import CalendarFile, read_calendar_file, unannounced
from congvan.doctor import prefect
from congvan.doctor.check import ANSWERS_S, Check, fault, ok, warning
from congvan.errors import BadInput, CongvanError, first_line
from congvan.house import KEY_LETTERS, House, build, key_in
from congvan.mail.address import domain_of
from congvan.mail.imap import Mailbox, MailboxUnreadable
from congvan.mail.url import LOOPBACK, SmtpUrl
from congvan.plan_check import check_cascade
from congvan.reading import lines_of, read_cascade
from congvan.rules.calendar import local
from congvan.settings import Settings
from congvan.store import schema
from congvan.store.tables import EventRow

#: Further apart than this, a deadline at 17:00 is judged differently by two machines.
_DRIFT = timedelta(seconds=60)


async def examine() -> list[Check]:
    """Every check, in the order in which a person would repair them."""
    from congvan.clock import SystemClock
    from congvan.commands.session import settings

    try:
        given = settings()
    except BadInput as error:
        return [fault("cấu hình", f"{one.field} {one.message}", one.remedy) for one in error.faults]
    checks = [*_configuration(given, local(SystemClock().wall()).date()), _keys(given)]
    database, answered_at = await _database(given)
    of_prefect, their_time = await prefect.look(os.environ, given.config)
    checks += [*database, *_addresses(given), await asyncio.to_thread(_smtp, given.smtp_url), *_dkim(given)]
    checks += [*_mta_log(given), *await _inbox(given.imap_url), *of_prefect]
    checks += await prefect.look_at_board(given.board_api_url)
    return [*checks, *await _clock(given, answered_at, their_time)]


# ------------------------------------------------------------------------------------ files and keys


def _configuration(given: Settings, today: date) -> list[Check]:
    name, found = "cấu hình", []
    try:
        cascade = read_cascade(given.cascade_file)
        found.append(ok(name, f"{given.cascade_file}: {cascade.name}"))
    except BadInput as error:
        found += [fault(name, f"{one.file} {one.field}: {one.message}", one.remedy) for one in error.faults]
    path = given.config / "calendar.yaml"
    try:
        found += announced(read_calendar_file(path), today)
    except BadInput as error:
        found += [fault(name, f"{one.file} {one.field}: {one.message}", one.remedy) for one in error.faults]
    for variable, folder, parts in (
        ("CONGVAN_TEMPLATES", given.templates, ("letters/page.typ", "emails", "portal")),
        ("CONGVAN_CONFIG", given.config, ("form.yaml", "shared_domains.yaml")),
    ):
        missing = [part for part in parts if not (folder / part).exists()]
        if missing:
            remedy = f"chép từ bản cài đặt, hoặc đặt {variable} đến thư mục đầy đủ"
            found.append(fault(name, f"{folder} thiếu {', '.join(missing)}", remedy))
    return found


def announced(file: CalendarFile, today: date) -> list[Check]:
    """Whether the days off are known of the years that terms reach into."""
    found = [warning("lịch", message, remedy) for message, remedy in unannounced(file, today)]
    return found or [ok("lịch", f"ngày nghỉ chính thức đến hết năm {file.official_until}")]


def _keys(given: Settings) -> Check:
    name, path = "khóa", given.home / "secret.key"
    if given.secret_keys:
        short = [key for key in given.secret_keys if len(key.get_secret_value()) < KEY_LETTERS]
        if short:
            remedy = "tạo khóa mới: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
            return fault(name, f"{len(short)} khóa trong CONGVAN_SECRET_KEYS quá ngắn", remedy)
        return ok(name, f"{len(given.secret_keys)} khóa trong CONGVAN_SECRET_KEYS")
    if not path.exists():
        return ok(name, f"chưa có; sẽ được tạo ở {path} khi dùng lần đầu")
    mode = stat.S_IMODE(path.stat().st_mode)
    if os.name == "posix" and mode & 0o077:
        return fault(name, f"{path} ai cũng đọc được (quyền {mode:o})", f"chạy: chmod 600 {path}")
    try:
        held = key_in(path)
    except OSError as error:
        return fault(name, f"{path} không đọc được ({first_line(error)})", "kiểm tra chủ và quyền đọc của tệp")
    if not held:
        remedy = "chép lại khóa từ bản sao lưu; không có bản sao lưu thì xóa tệp (mọi đường dẫn đã gửi sẽ hết hiệu lực)"
        return fault(name, f"{path} trống hoặc quá ngắn", remedy)
    return ok(name, str(path))


# ------------------------------------------------------------------------------------ database


async def _database(given: Settings) -> tuple[list[Check], datetime | None]:
    """The checks, and the instant of the youngest event (None: there is none)."""
    name = "cơ sở dữ liệu"
    file = given.home / "congvan.db"
    if not given.database_url and not file.exists():
        return [ok(name, f"chưa có; sẽ được lập ở {file} khi dùng lần đầu")], None
    try:
        house = build(given)
    except (SQLAlchemyError, ImportError, ValueError) as error:
        remedy = "dạng sqlite+aiosqlite:///TỆP hoặc postgresql+asyncpg://NGƯỜI@MÁY/TÊN"
        # Of a port that is no number, its message would quote what may be a piece of the password.
        why = "" if isinstance(error, ValueError) else f" ({first_line(error)})"
        return [fault(name, f"CONGVAN_DATABASE_URL không đọc được{why}", remedy)], None
    except (CongvanError, OSError) as error:
        return [fault("cấu hình", first_line(error), "sửa các lỗi cấu hình nêu trên")], None
    try:
        return await _look(house)
    except (SQLAlchemyError, OSError) as error:
        where = house.store.url.render_as_string(hide_password=True)
        remedy = "kiểm tra máy chủ, CONGVAN_DATABASE_URL và quyền đọc ghi"
        return [fault(name, f"{where} không dùng được ({first_line(error)})", remedy)], None
    finally:
        await house.close()


async def _look(house: House) -> tuple[list[Check], datetime | None]:
    name = "cơ sở dữ liệu"
    present, needed = await schema.versions(house.store)
    if present != needed:
        message = f"phiên bản {present or 'trống'}, chương trình cần {needed}"
        return [fault(name, message, "chạy: congvan migrate")], None
    checks = [ok(name, f"{house.store.url.render_as_string(hide_password=True)}, phiên bản {present}")]
    if await reconciling.is_restored(house):
        remedy = "chạy: congvan reconcile --resend hoặc --assume-sent, kèm --by"
        mark = reconciling.Watermark(house)
        why = "được khôi phục từ bản sao lưu" if mark.readable() else f"{mark.path} không đọc được"
        checks.append(fault(name, f"{why}: không thư nào được gửi đi", remedy))
    register = await registry.present(house)
    if not register.organisations:
        remedy = "chạy: congvan registry import"
        return [*checks, fault("danh bạ", "chưa có tổ chức nào", remedy)], None
    checks.append(ok("danh bạ", f"{len(register.organisations)} tổ chức, {len(register.parks)} khu"))
    path = house.settings.cascade_file
    try:
        faults = check_cascade(
            read_cascade(path), register, await house.clock.now(), file=str(path), lines=lines_of(path)
        )
        checks += [fault("danh bạ", f"{one.field}: {one.message}", one.remedy) for one in faults]
    except BadInput:
        pass  # told of with the configuration
    async with house.store.view() as ledger:
        return checks, await ledger.first(select(func.max(EventRow.at)))


# ------------------------------------------------------------------------------------ mail


def _addresses(given: Settings) -> list[Check]:
    """What stands in every mail and leads nowhere, though a program can use it."""
    found = []
    if is_reserved(domain_of(given.mail_from)):
        message = f"CONGVAN_MAIL_FROM={given.mail_from} thuộc tên miền dành riêng: thư trả lời không đến được ai"
        found.append(warning("thư đi", message, "đặt CONGVAN_MAIL_FROM là hộp thư của cơ quan"))
    if not given.demo and (urlsplit(given.portal_url).hostname or "") in LOOPBACK:
        message = f"CONGVAN_PORTAL_URL={given.portal_url}: đường dẫn trong thư chỉ mở được trên chính máy này"
        found.append(warning("cấu hình", message, "đặt CONGVAN_PORTAL_URL là địa chỉ mà nơi nhận mở được"))
    return found


def _mta_log(given: Settings) -> list[Check]:
    if given.mta_log is None:
        return []
    name = "nhật ký máy chủ thư"
    try:
        with given.mta_log.open("rb"):
            return [ok(name, str(given.mta_log))]
    except OSError as error:
        remedy = "sửa CONGVAN_MTA_LOG, hoặc cho người dùng chạy congvan vào nhóm được đọc tệp ấy (adm)"
        return [fault(name, f"{given.mta_log} không đọc được ({error.strerror})", remedy)]


def _smtp(url: str) -> Check:
    """Greets, logs in where a user is named, and goes: no sender, no recipient."""
    name = "thư đi"
    remedy = "dạng smtp://người:mật-khẩu@máy:cổng?tls=starttls"
    try:
        way = SmtpUrl.parse(url)
    except ValueError:  # its message may quote a piece of the password
        return fault(name, "CONGVAN_SMTP_URL không đọc được", remedy)
    except CongvanError as error:
        return fault(name, f"CONGVAN_SMTP_URL: {error}", remedy)
    try:
        server = _connect(way)
    except smtplib.SMTPAuthenticationError as error:
        remedy = "kiểm tra tên và mật khẩu trong CONGVAN_SMTP_URL (smtp://người:mật-khẩu@máy)"
        return fault(name, f"{way} không cho đăng nhập ({error.smtp_code})", remedy)
    except smtplib.SMTPHeloError as error:
        remedy = "đặt tên mà máy chủ thư chấp nhận: CONGVAN_SMTP_URL=smtp://…?helo=TÊN-MÁY"
        return fault(name, f"{way} không nhận lời chào «{way.helo}» ({error.smtp_code})", remedy)
    except (OSError, smtplib.SMTPException, UnicodeError) as error:
        remedy = "kiểm tra CONGVAN_SMTP_URL, tường lửa và chứng thư của máy chủ thư"
        return fault(name, f"{way} không trả lời ({first_line(error)})", remedy)
    wide = " có SMTPUTF8" if server.has_extn("smtputf8") else ""
    server.close()
    return ok(name, f"{way} trả lời{wide}")


def _connect(way: SmtpUrl) -> smtplib.SMTP:
    """The way that mail takes, by another library: a connection that is greeted, secured and logged in."""
    context = way.tls_context()
    server = (
        smtplib.SMTP_SSL(way.host, way.port, local_hostname=way.helo, timeout=ANSWERS_S, context=context)
        if way.tls == "implicit"
        else smtplib.SMTP(way.host, way.port, local_hostname=way.helo, timeout=ANSWERS_S)
    )
    try:
        server.ehlo_or_helo_if_needed()
        if way.tls == "starttls":
            server.starttls(context=context)
            server.ehlo_or_helo_if_needed()
        if way.user:
            server.login(way.user, way.password)
    except BaseException:
        server.close()
        raise
    return server


def _dkim(given: Settings) -> list[Check]:
    name = "chữ ký DKIM"
    try:
        signer = dkim_signer(given)
    except (CongvanError, OSError, ValueError) as error:
        remedy = "đặt đủ CONGVAN_DKIM_DOMAIN, CONGVAN_DKIM_SELECTOR, CONGVAN_DKIM_KEY_FILE, hoặc bỏ cả ba"
        return [fault(name, first_line(error), remedy)]
    return [] if signer is None else [ok(name, f"{given.dkim_selector}._domainkey.{given.dkim_domain}")]


async def _inbox(url: str) -> list[Check]:
    name = "thư đến"
    if not url:
        return [ok(name, "chưa đặt CONGVAN_IMAP_URL: thư không đến được và thư trả lời không được đọc")]
    try:
        number = await Mailbox.parse(url).count()
    except ValueError:
        remedy = "dạng imaps://NGƯỜI:MẬT-KHẨU@MÁY/THƯ-MỤC"
        return [fault(name, "CONGVAN_IMAP_URL không đọc được", remedy)]
    except MailboxUnreadable as error:
        remedy = "kiểm tra CONGVAN_IMAP_URL, mật khẩu, tên thư mục và chứng thư của máy chủ thư"
        return [fault(name, first_line(error), remedy)]
    return [ok(name, f"đọc được, {number} thư")]


# ------------------------------------------------------------------------------------ clock


async def _clock(given: Settings, youngest: datetime | None, theirs: datetime | None) -> list[Check]:
    """This machine's clock against the log, which it must not precede, and against Prefect's."""
    from congvan.clock import SystemClock

    name, now = "đồng hồ", SystemClock().wall()
    found = []
    if youngest is not None and not given.demo and youngest > now + _DRIFT:
        message = f"{local(now):%H:%M %d/%m/%Y} sớm hơn sự kiện cuối cùng đã ghi ({local(youngest):%H:%M %d/%m/%Y})"
        found.append(fault(name, message, "chỉnh giờ của máy, bật đồng bộ NTP"))
    if theirs is not None and abs(theirs - now) > _DRIFT:
        apart = int(abs(theirs - now).total_seconds())
        found.append(fault(name, f"lệch {apart} giây so với máy chủ Prefect", "bật đồng bộ NTP trên cả hai máy"))
    return found or [ok(name, f"{local(now):%H:%M:%S %d/%m/%Y} giờ Việt Nam")]
