"""From a plan's file to a running campaign: the same for command line, flow and tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from congvan.acts.launch_check import Warn, refuse_faulty
from congvan.acts.launches import MODES, Launch, launch
from congvan.errors import BadInput, Fault
from congvan.house import House
from congvan.reading import filled_in, lines_of, read_cascade, read_plan
from congvan.rules.records import Audience, CampaignPlan
from congvan.settings import Settings

_FORM = "biểu mẫu"


def plans(settings: Settings) -> dict[str, str]:
    """The prepared plans under config/campaigns that can be read: name to title."""
    found = {}
    for path in sorted((settings.config / "campaigns").glob("*.yaml")):
        try:
            found[path.stem] = read_plan(path)[0].title
        except BadInput:
            continue  # `congvan lint` tells of it; nobody can launch it
    return found


def prepared(settings: Settings, name: str) -> Path:
    """The file of a prepared plan, by its name with or without .yaml; raise BadInput for any other name."""
    known = {path.stem: path for path in (settings.config / "campaigns").glob("*.yaml")}
    stem = str(name).removesuffix(".yaml")
    if stem not in known:
        remedy = f"chọn một trong: {', '.join(sorted(known))}" if known else "đặt kế hoạch vào config/campaigns"
        raise BadInput([Fault("config/campaigns", "plan", f"không có kế hoạch «{name}»", remedy)])
    return known[stem]


async def launch_file(
    house: House, path: Path, *, mode: str, by: str, warn: Warn | None = None, audience: object = None
) -> str:
    """Read, check and launch a plan; the campaign's id. Raise BadInput with every fault; nothing is half done.

    warn: shows each remark of the lint that does not stop the launch. audience: a form's values in the place of the
    plan's own.
    """
    _check_words(mode, by)
    order, text = _read(house, path, mode, by)
    if audience is not None:
        other = filled_in(audience, Audience, _FORM, ("audience",))
        order = replace(order, plan=order.plan.model_copy(update={"audience": other}))
    await refuse_faulty(house, order, text, warn)
    return await launch(house, order)


async def launch_plan(house: House, plan: object, folder: Path, *, mode: str, by: str) -> str:
    """The same for the values of a plan that is no file; its upstream documents lie in `folder`."""
    _check_words(mode, by)
    cascade = read_cascade(house.settings.cascade_file)
    order = Launch(filled_in(plan, CampaignPlan, _FORM), cascade, mode, by, folder=folder, source=_FORM)
    await refuse_faulty(house, order, "")
    return await launch(house, order)


def _check_words(mode: str, by: str) -> None:
    """What a form asks for beside the plan; whoever calls Prefect past its forms is told as well."""
    faults = []
    if mode not in MODES:
        faults.append(Fault(_FORM, "mode", f"không có chế độ «{mode}»", f"chọn một trong: {', '.join(MODES)}"))
    if not isinstance(by, str) or not by.strip():
        faults.append(Fault(_FORM, "by", "chưa ghi người khởi động", "ghi họ và tên"))
    if faults:
        raise BadInput(faults)


def _read(house: House, path: Path, mode: str, by: str) -> tuple[Launch, str]:
    plan, _ = read_plan(path)
    cascade = read_cascade(house.settings.cascade_file)
    order = Launch(plan, cascade, mode, by, folder=path.parent, source=str(path), lines=lines_of(path))
    return order, path.read_text("utf-8-sig")
