"""Every rule of the lint finds a letter that breaks it and passes one that does not."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from congvan.letters.lint import Remark, errors, lint
from congvan.rules.records import CampaignPlan, Cascade, Issue, SegmentDuty
from tests.protocol.test_letters_kinds import ROOT, plan

CASCADE = Cascade.model_validate(yaml.safe_load((ROOT / "config" / "cascade.yaml").read_text("utf-8")))
PLAN = plan()


def letter(**changes: Any) -> CampaignPlan:
    return PLAN.model_copy(update={"letter": PLAN.letter.model_copy(update=changes)})


def signer(**changes: Any) -> CampaignPlan:
    return letter(signer=PLAN.letter.signer.model_copy(update=changes))


def requests(text: str) -> CampaignPlan:
    return letter(requests=(text,))


def symbol(text: str) -> Cascade:
    hops = tuple(hop.model_copy(update={"symbol": text}) if hop.issue is Issue.SIGNED else hop for hop in CASCADE.hops)
    return CASCADE.model_copy(update={"hops": hops})


def duty(sentence: str) -> CampaignPlan:
    return PLAN.model_copy(update={"segment_duties": (SegmentDuty(segment="chemical", sentence=sentence, tick="x"),)})


CONFIRM = PLAN.letter.confirmation
CLOSING = PLAN.letter.closing

#: Rule, severity, a breaking plan, a clean plan that comes close, where it is found.
WORDING: list[tuple[str, str, CampaignPlan, CampaignPlan, str]] = [
    (
        "doubled_phrase", "error",
        requests("Chủ đầu tư chủ đầu tư hạ tầng gửi văn bản."), requests("Chủ đầu tư, chủ đầu tư thứ cấp gửi văn bản."),
        "letter.requests[1]",
    ),
    (
        "doubled_phrase", "error",
        requests("<p>Chủ đầu tư <b>chủ đầu tư</b> gửi.</p>"),
        requests("<table><tr><td>không có</td><td>không có</td></tr></table>"), "letter.requests[1]",
    ),
    ("doubled_word", "warning", requests("Gửi các các đơn vị."), requests("Luôn luôn sẵn sàng."), "letter.requests[1]"),
    ("spaces", "warning", requests("Hai  dấu cách."), requests("Một dấu cách."), "letter.requests[1]"),
    ("spaces", "warning", requests("Cách thừa , ở đây."), requests("Đúng, ở đây./."), "letter.requests[1]"),
    ("spaces", "warning", requests("<b>Thừa</b> , ở đây."), requests("<b>Đúng</b>, ở đây."), "letter.requests[1]"),
    ("spaces", "warning", requests("Thiếu,cách."), requests("Số 1,5 và 2;3."), "letter.requests[1]"),
    (
        "before_day", "warning",
        requests("Gửi báo cáo trước ngày 14/12/2023."), requests("Gửi trước 17 giờ 00 ngày 14/12/2023."),
        "letter.requests[1]",
    ),
    ("tones", "warning", requests("Về hoá chất."), requests("Hóa chất, quý."), "letter.requests[1]"),
    ("tones", "warning", requests("Uỷ quyền."), requests("Ủy quyền; hoàn thành; thuyền."), "letter.requests[1]"),
    (
        "capitals", "warning",
        requests("Báo cáo Ủy Ban nhân dân thành phố."), requests("Báo cáo Ủy ban nhân dân, ỦY BAN NHÂN DÂN."),
        "letter.requests[1]",
    ),
    ("capitals", "warning", requests("Dịp tết nguyên đán."), requests("Dịp Tết Nguyên đán."), "letter.requests[1]"),
    ("days", "warning", requests("Từ 5/2/2024."), requests("Từ 05/02/2024 đến 15/3/2024."), "letter.requests[1]"),
    (
        "prefix_space", "error",
        letter(distribution=("Như trên", "KT.Trưởng ban", "Lưu: VT, QHXD")),
        letter(distribution=("Như trên", "KT. Trưởng ban", "Lưu: VT, QHXD")),
        "letter.distribution[2]",
    ),
    (
        "demand", "warning",
        requests("Ban yêu cầu các doanh nghiệp báo cáo."), requests("Ban đề nghị báo cáo theo yêu cầu các đơn vị."),
        "letter.requests[1]",
    ),
    ("secret", "error", requests("<p>MẬT</p>\nNội dung."), requests("Bảo mật thông tin."), "letter.requests[1]"),
    ("typeface", "error", requests("Về 화학."), requests("Về α, Ω, ☐, Общество."), "letter.requests[1]"),
    ("html", "error", requests("<h1>To</h1>"), requests("<b>Đậm</b>"), "letter.requests[1]"),
    ("html", "error", requests("Về {{ letter.subjct }}"), requests("Về {{ letter.subject }}"), "letter.requests[1]"),
    ("html", "error", requests("{% if parks %}Gửi các khu"), requests("<i>Gửi</i> các khu"), "letter.requests[1]"),
    ("html", "error", letter(lead='<img src="x">'), letter(lead="Ba việc: <ul><li>một</li></ul> hết"), "letter.lead"),
    ("html", "error", letter(lead="<table></table>"), letter(lead="<table><tr><td>x</td></tr></table>"), "letter.lead"),
    ("link", "error", requests("Xem https://a.example"), requests("Xem trang của Ban"), "letter.requests[1]"),
    ("link", "error", requests('<a href="https://a.example">x</a>'), PLAN, "letter.requests[1]"),
    ("placeholder", "error", requests("Trước {han}."), requests("Trước {deadline}."), "letter.requests[1]"),
    (
        "placeholder", "error",
        requests("Trước {{ deadline | moment }}."), requests("Trước {{ deadline }}, {{deadline}}, {deadline}."),
        "letter.requests[1]",
    ),
    ("confirmation", "error", letter(confirmation=""), PLAN, "letter.confirmation"),
    (
        "confirmation", "error",
        letter(confirmation=CONFIRM.replace("{deadline}", "17 giờ 00 ngày 08/12/2023")),
        letter(confirmation=CONFIRM.replace("{deadline}", "{{ deadline }}")), "letter.confirmation",
    ),
    ("segment_duty", "error", duty("Câu không có trong văn bản."), PLAN, "segment_duties[1].sentence"),
    ("authority_space", "error", signer(authority="KT.TRƯỞNG BAN"), PLAN, "letter.signer.authority"),
    ("authority_space", "error", signer(position="TL.TRƯỞNG BAN"), PLAN, "letter.signer.position"),
    ("honours", "error", signer(name="TS. Nguyễn Văn Mẫu"), signer(name="Tsần Văn Mẫu"), "letter.signer.name"),
    ("file_copy", "error", letter(distribution=("Như trên", "Lưu: VP; QHXD")), PLAN, "letter.distribution[2]"),
    ("file_copy", "error", letter(distribution=("Như trên", "Lưu: VT; QHXD")), PLAN, "letter.distribution[2]"),
    ("file_copy", "error", letter(distribution=("A",)), letter(distribution=("Lưu: VT",)), "letter.distribution[1]"),
    ("file_copy", "error", letter(distribution=()), PLAN, "letter.distribution[0]"),
    ("ending", "error", letter(closing=CLOSING.removesuffix("/.")), PLAN, "letter.closing"),
    ("ending", "error", letter(closing="", confirmation=CONFIRM), letter(confirmation=CONFIRM), "letter.confirmation"),
    (
        "ending", "error",
        letter(closing=f"<p>{CLOSING.removesuffix('/.')}</p>"), letter(closing=f"<p>{CLOSING}</p>"), "letter.closing",
    ),
    ("ending", "error", requests("Xong./."), PLAN, "letter.requests[1]"),
    ("subject", "error", letter(subject="V/v phối hợp"), letter(subject="phối hợp"), "letter.subject"),
    ("subject", "error", letter(subject="Về việc phối hợp"), PLAN, "letter.subject"),
    ("subject", "warning", letter(subject="phối hợp."), PLAN, "letter.subject"),
    ("list_marks", "warning", letter(addressees=("- A",)), letter(addressees=("A",)), "letter.addressees[1]"),
    ("list_marks", "warning", letter(addressees=("Các đơn vị;",)), PLAN, "letter.addressees[1]"),
]  # fmt: skip


def of(rule: str, remarks: list[Remark]) -> list[Remark]:
    return [one for one in remarks if one.rule == rule]


@pytest.mark.parametrize(("rule", "severity", "breaking", "clean", "place"), WORDING)
def test_a_rule_finds_what_breaks_it_and_passes_what_does_not(
    rule: str, severity: str, breaking: CampaignPlan, clean: CampaignPlan, place: str
) -> None:
    found = of(rule, lint(breaking, CASCADE))
    assert [(one.place, one.severity) for one in found] == [(place, severity)]
    assert found[0].message
    assert found[0].remedy
    assert of(rule, lint(clean, CASCADE)) == []


@pytest.mark.parametrize("text", ["BQL-QHXD", "{number}/bql", "{number} / BQL", "{number}/BQL - QHXD", ""])
def test_a_symbol_outside_the_form_stops_the_launch(text: str) -> None:
    (found,) = of("symbol", lint(PLAN, symbol(text)))
    assert (found.place, found.severity) == ("cascade.hops[2].symbol", "error")


@pytest.mark.parametrize(
    "text",
    [
        "{number}/BQL-QHXD", "{number}/UBND", "{number}/CĐ-BQL", "{number}/{abbreviation}-TH", "{number}/TTr-BQL",
        "{number}/QyĐ-BQL", "{number}/BCĐTƯ-VP",
    ],
)  # fmt: skip
def test_a_symbol_of_the_form_passes(text: str) -> None:
    assert lint(PLAN, symbol(text)) == []


def test_a_file_in_decomposed_letters_is_noticed() -> None:
    source = (ROOT / "config" / "campaigns" / "8184.yaml").read_text("utf-8")
    assert lint(PLAN, CASCADE, source) == []
    (found,) = lint(PLAN, CASCADE, unicodedata.normalize("NFD", source))
    assert (found.rule, found.severity) == ("nfd", "warning")


def test_the_old_tone_is_named_as_the_remedy() -> None:
    messages = [one.remedy for one in lint(requests("Hoá chất, khoẻ, huỷ, xoà."), CASCADE)]
    assert messages == ["viết «Hóa»", "viết «khỏe»", "viết «hủy»", "viết «xòa»"]


BREAKING: list[Callable[[], CampaignPlan]] = [
    lambda: letter(distribution=("Như trên",)),
    lambda: letter(closing=CLOSING.removesuffix("/.")),
    lambda: signer(authority="KT.GIÁM ĐỐC"),
]


@pytest.mark.parametrize("breaking", BREAKING)
def test_the_form_of_the_decree_binds_no_company(breaking: Callable[[], CampaignPlan]) -> None:
    hops = tuple(hop.model_copy(update={"issue": Issue.COMPANY}) for hop in CASCADE.hops)
    assert errors(lint(breaking(), CASCADE))
    assert lint(breaking(), CASCADE.model_copy(update={"hops": hops})) == []


def test_errors_come_first_and_alone_stop_a_launch() -> None:
    both = letter(requests=("Hai  dấu cách.",), distribution=("Như trên",))
    found = lint(both, CASCADE)
    assert [one.severity for one in found] == ["error", "warning"]
    assert [one.rule for one in errors(found)] == ["file_copy"]
    assert str(found[0]).startswith("Lỗi [file_copy] letter.distribution[1]: ")
    assert str(found[1]).startswith("Lưu ý [spaces] letter.requests[1]: ")
