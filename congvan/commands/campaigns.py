"""`congvan campaign`: launched, issued, extended, held, paused, resumed, closed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from congvan.commands import given
from congvan.commands.headings import part
from congvan.commands.letters import Upload, issue_one
from congvan.commands.session import opened
from congvan.commands.show import as_json, moment, note
from congvan.errors import BadInput, NotFound

if TYPE_CHECKING:
    from congvan.house import House

app = part("campaign", "Đợt triển khai: khởi động, ban hành, giữ thư lại, tạm dừng, tiếp tục, kết thúc.")

#: How long the relay's first run is waited for.
_RUN_WAIT_S, _LOOK_EVERY_S = 10.0, 0.25


@app.command
async def launch(
    plan: Path,
    /,
    *,
    mode: Literal["live", "exercise", "demo"] = "live",
    by: str | None = None,
    json: bool = False,
) -> None:
    """Khởi động một đợt từ kế hoạch; cùng một kế hoạch chỉ khởi động một lần.

    Parameters
    ----------
    plan
        Tệp kế hoạch .yaml.
    mode
        live: thật; exercise, demo: diễn tập, văn bản mang dòng "BẢN MINH HỌA".
    by
        Họ tên người khởi động.
    json
        In {"campaign": …, "flow_run": …}.
    """
    from congvan.launching import launch_file

    who = given.person(by)
    async with opened(real=True) as house:
        await _check_cascade(house)
        campaign = await launch_file(house, plan, mode=mode, by=who, warn=lambda remark: note(str(remark)))
        run = await _flow_run(house, campaign)
    if json:
        as_json({"campaign": campaign, "flow_run": run})
        return
    print(f"Đã khởi động: {campaign}")
    if run is None:
        note("Lượt chạy trong Prefect sẽ được mở khi «congvan up» hoặc «python -m flows» đang chạy.")


async def _check_cascade(house: House) -> None:
    """The chain's own faults, under the name of its own file."""
    from congvan.acts import registry
    from congvan.plan_check import check_cascade
    from congvan.reading import lines_of, read_cascade

    path = house.settings.cascade_file
    now = await house.clock.now()
    register = await registry.present(house)
    if not register.organisations:
        raise given.refuse("", "danh bạ còn trống", "nhập danh bạ trước: congvan registry import", "danh bạ")
    faults = check_cascade(read_cascade(path), register, now, file=str(path), lines=lines_of(path))
    if faults:
        raise BadInput(faults)


async def _flow_run(house: House, campaign: str) -> str | None:
    """The campaign's run in Prefect; waited for only where a relay is alive to open it."""
    from congvan.acts import figures, leases

    waited = 0.0
    while True:
        run: str | None = (await figures.status(house, campaign))["campaigns"][0]["flow_run"]
        if run or waited >= _RUN_WAIT_S or not await leases.held(house, leases.RELAY):
            return run
        await asyncio.sleep(_LOOK_EVERY_S)
        waited += _LOOK_EVERY_S


@app.command
async def issue(
    campaign: str,
    /,
    *,
    number: str,
    date: str,
    signed: Path | None = None,
    paper_scan: bool = False,
    accept_differences_by: str = "",
    by: str | None = None,
    json: bool = False,
) -> None:
    """Ban hành văn bản của cơ quan chủ trì trong đợt.

    Parameters
    ----------
    campaign
        Mã của đợt.
    number
        Số văn bản.
    date
        Ngày ban hành: 2023-12-01 hoặc 01/12/2023.
    signed
        Tệp PDF đã ký.
    paper_scan
        Tệp là bản quét của bản giấy, không có chữ ký số.
    accept_differences_by
        Họ tên người đã xem và chấp nhận chỗ khác với dự thảo.
    by
        Họ tên văn thư.
    json
        In kết quả dạng JSON.
    """
    from congvan.acts import campaigns, letters
    from congvan.acts.frozen import cascade_of

    upload = Upload(number, date, signed, by, paper_scan=paper_scan, accepted_by=accept_differences_by)
    async with opened() as house:
        async with house.store.view() as ledger:
            speaker = cascade_of(await campaigns.find(ledger, campaign)).speaks_for
        own = [
            one
            for one in await letters.of_campaign(house, campaign)
            if one["issuer"] == speaker and one["state"] in ("PENDING_ISSUE", "ISSUED") and one["kind"] != "report"
        ]
        waiting = [one for one in own if one["state"] == "PENDING_ISSUE"]
        if not own:
            raise NotFound(f"văn bản của {speaker} chưa được trình ban hành → xem: congvan letters {campaign}")
        await issue_one(house, (waiting or own)[0]["id"], upload, json=json)


@app.command
async def pause(campaign: str, /, *, by: str, why: str) -> None:
    """Tạm dừng: giữ mọi thư lại và ngừng tính mọi thời hạn; nơi nhận được báo.

    Parameters
    ----------
    campaign
        Mã của đợt.
    by
        Họ tên người quyết định.
    why
        Lý do, ghi trong thư báo.
    """
    from congvan.acts import campaigns, pausing

    who, reason = given.person(by), given.words(why, "--why", "lý do")
    async with opened() as house:
        async with house.store.view() as ledger:
            key = (await campaigns.find(ledger, campaign)).id
        told = await pausing.pause(house, key, who, reason)
    print(f"Đã tạm dừng; thời hạn ngừng tính, sẽ báo {told} nơi nhận. Cho tiếp tục: congvan campaign resume {campaign}")


@app.command
async def extend(
    campaign: str,
    /,
    *,
    until: str,
    why: str,
    by: str | None = None,
    issuer: str = "",
    park: str = "",
    level: str = "",
    json: bool = False,
) -> None:
    """Gia hạn cho mọi nơi nhận chưa trả lời của đợt, hoặc của một đơn vị chuyển, một khu, một cấp.

    Parameters
    ----------
    campaign
        Mã của đợt.
    until
        Thời hạn mới: "2024-02-20 17:00"; chỉ ghi ngày thì là 17:00.
    why
        Lý do.
    by
        Họ tên người quyết định.
    issuer
        Chỉ những nơi nhận của đơn vị chuyển này.
    park
        Chỉ những nơi nhận trong khu này.
    level
        Chỉ những nơi nhận ở cấp này.
    json
        In số nơi nhận theo kết quả.
    """
    from congvan.acts import extending

    who, due = given.person(by), given.until(until, "--until")
    reason = given.words(why, "--why", "lý do")
    async with opened() as house:
        whom = extending.Whom(issuer, park, level)
        counts = await extending.extend_many(house, campaign, due, who, reason, whom)
    if json:
        as_json(dict(counts))
        return
    print(f"Đã gia hạn cho {counts['extended']} nơi nhận đến {moment(due.isoformat())}.")
    for key, word in extending.REASONS.items():
        if counts.get(key):
            note(f"{counts[key]} nơi nhận giữ nguyên: {word}")


@app.command
async def hold(campaign: str, /, *, by: str, why: str = "") -> None:
    """Giữ lại mọi thư chưa gửi; thời hạn vẫn tính. Để ngừng cả thời hạn: congvan campaign pause.

    Parameters
    ----------
    campaign
        Mã của đợt.
    by
        Họ tên người quyết định.
    why
        Lý do.
    """
    from congvan.acts import campaigns

    who = given.person(by)
    async with opened() as house:
        await campaigns.hold(house, campaign, who, why)
    print("Đã giữ lại mọi thư chưa gửi; thời hạn vẫn tính.")


@app.command
async def resume(campaign: str, /, *, by: str) -> None:
    """Tiếp tục một đợt đang tạm dừng hoặc bị giữ lại; thời hạn lùi theo thời gian tạm dừng.

    Parameters
    ----------
    campaign
        Mã của đợt.
    by
        Họ tên người quyết định.
    """
    from congvan.acts import campaigns

    who = given.person(by)
    async with opened() as house:
        await campaigns.resume(house, campaign, who)
    print("Đã cho tiếp tục.")


@app.command
async def close(campaign: str, /, *, by: str, json: bool = False) -> None:
    """Kết thúc đợt và trình báo cáo; trả lời muộn vẫn được nhận.

    Parameters
    ----------
    campaign
        Mã của đợt.
    by
        Họ tên người quyết định.
    json
        In {"campaign": …, "report": …}.
    """
    from congvan.acts import closing

    who = given.person(by)
    async with opened() as house:
        report = await closing.close(house, campaign, who)
    if json:
        as_json({"campaign": campaign, "report": report})
    else:
        print(f"Đã kết thúc; báo cáo chờ ban hành: {report}")
