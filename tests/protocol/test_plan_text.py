"""The plan of the real letter says what the seed letter says, but for the corrections listed here."""

from __future__ import annotations

import re
from typing import NamedTuple

import yaml

from congvan.letters.lint import bodies, errors, lint
from congvan.letters.numbering import moment
from congvan.rules.records import CampaignPlan, Cascade, OnSilence, Settles, Urgency
from tests.protocol.test_letters_kinds import DEADLINE, PRESS, ROOT, board, context, plan, text_of

SEED = (ROOT / "tests" / "data" / "seed_letter.txt").read_text("utf-8")


class Correction(NamedTuple):
    """One change against the seed: what stood there, what stands in the plan, and why."""

    was: str
    now: str
    reason: str


CORRECTIONS = (
    Correction("nghiêm\n\ntrọng thời điểm", "nghiêm trọng thời điểm", "the paragraph is broken inside a sentence"),
    Correction("trấn áp\ntội phạm", "trấn áp tội phạm", "the page breaks the lines of V/v, not the text"),
    Correction("Nguyên đán\nGiáp Thìn", "Nguyên đán Giáp Thìn", "the page breaks the lines of V/v, not the text"),
    Correction("Chủ đầu tư chủ đầu tư", "Chủ đầu tư", "the phrase stands twice"),
    Correction(
        "kinh doanh hạ tầng Khu công nghiệp gửi",
        "kinh doanh hạ tầng khu công nghiệp gửi",
        "no park is named, so no capital (Phụ lục II); the seed itself writes both",
    ),
    Correction("và Văn bản có liên quan", "và văn bản có liên quan", "no single document is meant (Phụ lục II)"),
    Correction(
        "các Chủ đầu tư thứ cấp trong Khu công nghiệp",
        "các chủ đầu tư thứ cấp trong khu công nghiệp",
        "common nouns (Phụ lục II); the addressees of the seed write them small",
    ),
    Correction(
        "Các chủ đầu tư kinh doanh hạ tầng Khu công nghiệp",
        "Các chủ đầu tư kinh doanh hạ tầng khu công nghiệp",
        "common noun (Phụ lục II)",
    ),
    Correction("**KT.", "KT.", "the page sets bold type, not the text"),
    Correction("PHÓ TRƯỞNG BAN**", "PHÓ TRƯỞNG BAN", "the page sets bold type, not the text"),
    Correction("KT.TRƯỞNG BAN", "KT. TRƯỞNG BAN", "a space after the dot (Phụ lục I, mục II.7b)"),
    Correction("Lưu: VP; QHXD", "Lưu: VT, QHXD", "the file copy lies with the clerical office (Phụ lục I, mục II.9d)"),
)


def corrected() -> str:
    """The seed with every correction made, its paragraphs as running text."""
    text = SEED
    for one in CORRECTIONS:
        assert one.was in text, f"the seed never said «{one.was}»"
        text = text.replace(one.was, one.now)
    return " ".join(text.split())


def as_the_seed(given: CampaignPlan) -> str:
    """The plan's texts in the seed's order and with the marks that the page adds."""
    letter = given.letter
    body = [text if not place.startswith("letter.requests") else f"- {text}" for place, text in bodies(letter)]
    without = [text for text in body if text and text != letter.confirmation]
    return " ".join(
        [
            "Số: /BQL-QHXD",
            f"{letter.place}, ngày tháng năm 2023",
            f"V/v {letter.subject}",
            "Kính gửi:",
            *(f"- {name};" for name in letter.addressees[:-1]),
            f"- {letter.addressees[-1]}.",
            *without,
            "Nơi nhận:",
            *(f"- {line};" for line in letter.distribution[:-1]),
            f"- {letter.distribution[-1]}.",
            letter.signer.authority,
            letter.signer.position,
            letter.signer.name,
        ]
    )


def test_the_plan_is_the_seed_word_for_word_but_for_the_listed_corrections() -> None:
    assert as_the_seed(plan()) == corrected()


def test_every_correction_is_needed_and_has_its_reason() -> None:
    written = as_the_seed(plan())
    for one in CORRECTIONS:
        assert one.reason
        assert one.now in written
        assert one.was not in written


def test_the_confirmation_paragraph_is_the_only_addition_and_prints_the_deadline() -> None:
    assert plan().letter.confirmation == (
        "Đề nghị các đơn vị xác nhận việc tiếp nhận văn bản trước {deadline}, theo đường dẫn trong thư điện tử gửi "
        "kèm Công văn này, về Ban Quản lý Khu kinh tế Hải Phòng (qua phòng Quy hoạch - Xây dựng)."
    )
    assert moment(DEADLINE) == "17 giờ 00 ngày 08/12/2023"
    assert "văn bản trước 17 giờ 00 ngày 08/12/2023, theo đường dẫn" in text_of(PRESS.render(board()).pdf)


def test_the_pdf_of_the_plan_holds_its_words_in_order_and_no_link() -> None:
    rendered = PRESS.render(board())
    printed = text_of(rendered.pdf)
    given = plan().letter
    body = [f"- {text}" if place.startswith("letter.requests") else text for place, text in bodies(given)]
    words = " ".join(text for text in body if text).replace("{deadline}", moment(DEADLINE))
    assert words in printed
    expected = [
        f"V/v {given.subject}",
        "Kính gửi: " + " ".join(f"- {name}{mark}" for name, mark in zip(given.addressees, ";;.", strict=True)),
        "Nơi nhận: - Như trên; - UBND thành phố (để báo cáo); - TB, PTB Chu Đức Anh; - Lưu: VT, QHXD.",
        "KT. TRƯỞNG BAN PHÓ TRƯỞNG BAN Chu Đức Anh",
    ]
    for part in expected:
        assert part in printed
    # White space and the page's own header are all that is left.
    rest = printed.replace(words, "")
    for part in expected:
        rest = rest.replace(part, "")
    header = (
        "UBND THÀNH PHỐ HẢI PHÒNG BAN QUẢN LÝ KHU KINH TẾ HẢI PHÒNG CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM "
        "Độc lập - Tự do - Hạnh phúc Số: 2514/BQL-QHXD Hải Phòng, ngày 01 tháng 12 năm 2023"
    )
    assert " ".join(rest.split()) == header
    assert not re.search(rb"/URI|https?://(?!www\.w3\.org|ns\.adobe\.com|purl\.org)", rendered.pdf)


def test_the_directive_is_the_document_from_above_without_its_file() -> None:
    (above,) = plan().directives
    assert above.code == "8184/VP-NCKTGS"
    assert above.issued_on.isoformat() == "2023-11-29"
    assert above.authority == "Phó Chủ tịch Ủy ban nhân dân thành phố Lê Khắc Nam"
    assert above.files == ()
    assert above.arrived_on is not None
    assert above.issued_on < above.arrived_on


def test_the_plan_bypasses_a_silent_investor_and_tenants_need_only_acknowledge() -> None:
    policies = plan().policies
    assert policies["investor"].settles is Settles.FORWARD
    assert policies["investor"].on_silence is OnSilence.BYPASS
    assert policies["tenant"].settles is policies["unit"].settles is Settles.ACKNOWLEDGE
    assert plan().copies[0].organisation == "UBND-HP"


def test_the_sentence_on_chemicals_stands_in_the_one_letter_and_is_ticked_apart() -> None:
    (duty,) = plan().segment_duties
    assert duty.segment == "chemical"
    assert duty.sentence.rstrip(".") in plan().letter.closing
    assert duty.tick


def test_the_storm_warning_is_a_plan_of_another_kind() -> None:
    storm = plan("bao-so-5")
    assert storm.urgency is Urgency.FLASH
    assert all(policy.deadline.hours for policy in storm.policies.values())
    given = storm.letter
    sheet = board(
        subject=given.subject,
        urgency=storm.urgency,
        distribution=given.distribution,
        context=context(letter=given.model_dump(mode="json")),
    )
    printed = text_of(PRESS.render(sheet).pdf)
    assert "HỎA TỐC" in printed
    assert "V/v ứng phó khẩn cấp bão số 5" in printed


def test_both_plans_stand_up_to_the_lint_and_the_seed_itself_does_not() -> None:
    cascade = Cascade.model_validate(yaml.safe_load((ROOT / "config" / "cascade.yaml").read_text("utf-8")))
    for name in ("8184", "bao-so-5"):
        assert lint(plan(name), cascade) == []
    letter = plan().letter
    as_found = letter.model_copy(
        update={
            "note_to_intermediaries": letter.note_to_intermediaries.replace("Chủ đầu tư", "Chủ đầu tư chủ đầu tư"),
            "distribution": (*letter.distribution[:-1], "Lưu: VP; QHXD"),
            "signer": letter.signer.model_copy(update={"authority": "KT.TRƯỞNG BAN"}),
            "confirmation": "",
        }
    )
    found = {one.rule for one in errors(lint(plan().model_copy(update={"letter": as_found}), cascade))}
    assert found == {"doubled_phrase", "file_copy", "authority_space", "confirmation"}
