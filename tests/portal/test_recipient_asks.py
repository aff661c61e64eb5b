"""Beside the answer: left out, a colleague, reached by hand, not our mailbox, a receipt by mail."""

from __future__ import annotations

import re

import httpx
import pytest
from sqlalchemy import select

from congvan.acts import deliveries
from congvan.errors import ActRefused
from congvan.links import Link
from congvan.portal import looking
from congvan.portal.pages import Pages
from congvan.store.tables import Delegate, Delivery, Message, Request, WayRow
from tests.conftest import ROOT
from tests.portal.files_sent import marked_secret
from tests.portal.test_recipient import WHO, chosen, posted
from tests.portal.world import START, Desk, form_token, turn_all

PDF = b"%PDF-1.7\nown\n%%EOF\n"


async def rows(desk: Desk, table: type, *where: object) -> list:  # type: ignore[type-arg]
    async with desk.house.store.view() as ledger:
        return await ledger.all(select(table).where(*where))  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------ left out


async def test_a_request_to_be_left_out_is_filed_and_the_page_says_that_it_is_looked_at(
    web: httpx.AsyncClient, desk: Desk
) -> None:
    tenant = await desk.tenant()
    path = desk.path(tenant)
    page = await posted(web, path, "not-applicable", reason="Không có <b>nhà xưởng</b>", **WHO)
    assert page.status_code == 200
    assert "đang được cán bộ phụ trách xem xét" in page.text
    assert "Văn bản không áp dụng đối với đơn vị" not in page.text, "asking twice is not offered"
    assert "Xác nhận đã nhận" in page.text, "the letter can still be answered"
    (request,) = await rows(desk, Request)
    assert (request.kind, request.words["reason"]) == ("not_applicable", "Không có <b>nhà xưởng</b>")
    again = await web.post(f"{path}/not-applicable", data={"form_token": form_token(page), "reason": "x", **WHO})
    assert again.status_code == 409


@pytest.mark.parametrize(
    ("form", "fields", "message"),
    [
        ("not-applicable", {"name": "A", "position": "B"}, "Ghi rõ nội dung."),
        ("delegate", {"email": "không phải thư", "by": "A"}, "Địa chỉ thư điện tử không đúng."),
        ("delegate", {"email": "a@b.example", "by": ""}, "Ghi tên người đề nghị."),
        ("delegate", {"email": "a@b.example", "by": "A"}, "Chỉ chuyển được cho hộp thư của chính đơn vị"),
        ("contact", {"not_us": "yes"}, "Ghi tên người đề nghị."),
    ],
)
async def test_an_incomplete_form_changes_nothing(
    web: httpx.AsyncClient, desk: Desk, form: str, fields: dict[str, str], message: str
) -> None:
    before = await desk.trace()
    page = await posted(web, desk.path(await desk.tenant()), form, **fields)
    assert page.status_code == 422
    assert message in page.text
    assert await desk.trace() == before


# ------------------------------------------------------------------------------------ a colleague


async def test_a_colleague_opens_the_page_answers_and_can_do_no_more(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant = await desk.tenant()
    domain = (tenant.address or "").rpartition("@")[2]
    page = await posted(web, desk.path(tenant), "delegate", email=f"phap-che@{domain}", by="Hoa", contact_name="Bình")
    assert "Đã gửi đường dẫn riêng cho đồng nghiệp." in page.text
    (colleague,) = await rows(desk, Delegate)
    token = desk.house.links.token(Link(colleague.id, "delegate", tenant.link_version, START.replace(year=2024)))
    own = await web.get(f"/v/{token}")
    assert own.status_code == 200
    assert tenant.name in own.text
    assert "Đường dẫn này được đồng nghiệp chuyển" in own.text
    for withheld in ("Từ chối tiếp nhận văn bản", "Đổi đầu mối liên hệ", "Chuyển cho đồng nghiệp xử lý"):
        assert withheld not in own.text
    for form, fields in (("contact", {"email": "a@b.example", "by": "x"}), ("pass-on", WHO)):
        data = {"form_token": form_token(own), **fields}
        assert (await web.post(f"/v/{token}/{form}", data=data)).status_code == 409
    assert await rows(desk, Request) == []
    answered = await posted(web, f"/v/{token}", "confirm", **WHO)
    assert "Biên nhận" in answered.text
    assert (await desk.delivery(tenant.recipient)).state == "ACKNOWLEDGED"
    await turn_all(desk.house)
    kinds = [row.kind for row in await rows(desk, Message, Message.delivery_id == tenant.id)]
    assert sorted(kinds) == ["delegated", "letter", "receipt"]


async def test_a_colleague_whose_link_has_ended_is_sent_another_one(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant = await desk.tenant()
    to = {"email": f"phap-che@{(tenant.address or '').rpartition('@')[2]}", "by": "Hoa", "contact_name": "Bình"}
    for _ in range(2):
        await posted(web, desk.path(tenant), "delegate", **to)
    mails = Message.delivery_id == tenant.id, Message.kind == "delegated"
    assert len(await rows(desk, Message, *mails)) == 1
    await deliveries.resend(desk.house, tenant.id, "Lan")
    tenant = await desk.delivery(tenant.recipient)
    for _ in range(2):
        await posted(web, desk.path(tenant), "delegate", **to)
    assert len(await rows(desk, Message, *mails, Message.state != "CANCELLED")) == 1
    assert len(await rows(desk, Message, *mails)) == 2
    (colleague,) = await rows(desk, Delegate)
    token = desk.house.links.token(Link(colleague.id, "delegate", tenant.link_version, START.replace(year=2024)))
    assert (await web.get(f"/v/{token}")).status_code == 200


async def test_a_delegates_token_of_nobody_opens_nothing(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant = await desk.tenant()
    for name in ("f" * 32, tenant.id):
        token = desk.house.links.token(Link(name, "delegate", 1, START.replace(year=2024)))
        assert (await web.get(f"/v/{token}")).status_code == 404


async def test_whoever_has_a_mailbox_at_the_same_provider_is_no_colleague(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant = await desk.tenant()
    for provider in ("hp.vnn.vn", "fpt.vn", "hanmail.net", "yahoo.co.jp", "foxmail.com", "163.com"):
        async with desk.house.store.act() as ledger:
            await ledger.change(Delivery, Delivery.id == tenant.id, address=f"cong-ty@{provider}")
        page = await posted(web, desk.path(tenant), "delegate", email=f"nguoi-la@{provider}", by="Hoa")
        assert page.status_code == 422
    assert await rows(desk, Delegate) == []


# ------------------------------------------------------------------------------------ the mailbox is not ours


async def test_a_mailbox_that_is_not_theirs_is_told_without_another_address(
    web: httpx.AsyncClient, desk: Desk
) -> None:
    tenant = await desk.tenant()
    page = await posted(web, desk.path(tenant), "contact", not_us="yes", by="Người lạ", note="Tôi đã nghỉ việc")
    assert "Đề nghị đã được chuyển đến cán bộ phụ trách." in page.text
    (request,) = await rows(desk, Request)
    assert (request.kind, request.words["note"]) == ("not_us", "Tôi đã nghỉ việc")
    assert (await desk.delivery(tenant.recipient)).address == tenant.address


# ------------------------------------------------------------------------------------ reached by hand


async def _branch(desk: Desk, investor: Delivery) -> list[Delivery]:
    below = select(WayRow.delivery_id).where(WayRow.hop_id == investor.child_hop_id)
    return await rows(desk, Delivery, Delivery.id.in_(below))


async def test_an_investor_ticks_whom_it_reached_and_the_others_get_the_letter(
    web: httpx.AsyncClient, desk: Desk
) -> None:
    investor = await desk.delivery("CDT-VSIP")
    path = desk.path(investor)
    below = await _branch(desk, investor)
    assert "Đơn vị đã tự chuyển văn bản" in (await web.get(path)).text
    page = await web.get(f"{path}/by-hand")
    assert page.status_code == 200
    assert all(one.name in page.text for one in below)
    assert page.text.count('type="checkbox" name="t_') == len(below)
    ticked, *rest = below
    data = {
        "form_token": form_token(page), "how": "paper", "day": "01/12/2023", f"t_{ticked.id}": "yes",
        f"e_{ticked.id}": "Ký nhận ngày 01/12", **WHO,
    }  # fmt: skip
    sent = {"own_pdf": ("giấy.pdf", PDF)}
    done = await web.post(f"{path}/by-hand", data=data, files=sent, follow_redirects=True)
    assert done.status_code == 200
    assert "Đã chuyển tiếp" in done.text
    await turn_all(desk.house)
    mailed = {row.recipient for row in await rows(desk, Message, Message.hop_id == investor.child_hop_id)}
    assert mailed == {one.recipient for one in rest}
    assert "reached_by_issuer" in await desk.events(ticked.id)
    listed = await web.get(f"{path}/below")
    assert ticked.name in listed.text


async def test_all_at_once_are_ticked_with_one_tick(web: httpx.AsyncClient, desk: Desk) -> None:
    investor = await desk.delivery("CDT-VSIP")
    path, below = desk.path(investor), await _branch(desk, investor)
    data = {"form_token": form_token(await web.get(f"{path}/by-hand")), "how": "meeting", "day": "2023-12-01", **WHO}
    data |= {f"e_{one.id}": "" for one in below} | {"all": "yes"}
    assert (await web.post(f"{path}/by-hand", data=data)).status_code == 303
    assert {(await desk.delivery(one.recipient)).state for one in below} == {"SENT"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "Đánh dấu ít nhất một đơn vị."),
        ({"how": "telepathy"}, "Chọn cách chuyển."),
        ({"day": "31/02/2023"}, "Ghi một ngày có thật"),
        ({"day": "2023-12-02"}, "Ghi một ngày không sau 01/12/2023."),
        ({"name": ""}, "Ghi họ và tên."),
    ],
)
async def test_what_is_missing_by_hand_comes_back(
    web: httpx.AsyncClient, desk: Desk, fields: dict[str, str], message: str
) -> None:
    investor = await desk.delivery("CDT-VSIP")
    path, before = desk.path(investor), await desk.trace()
    data = {"form_token": form_token(await web.get(f"{path}/by-hand")), "how": "paper", "day": "2023-12-01", **WHO}
    page = await web.post(f"{path}/by-hand", data=data | fields)
    assert page.status_code == 422
    assert message in page.text
    assert await desk.trace() == before


async def test_what_was_ticked_is_still_there_after_a_refusal(web: httpx.AsyncClient, desk: Desk) -> None:
    investor, stranger = await desk.delivery("CDT-VSIP"), await desk.tenant()
    path, (ticked, *_) = desk.path(investor), await _branch(desk, investor)
    data = {
        "form_token": form_token(await web.get(f"{path}/by-hand")), "how": "meeting", "day": "2023-12-01",
        f"t_{ticked.id}": "yes", f"e_{ticked.id}": "Ký nhận 01/12", f"t_{stranger.id}": "yes", **WHO,
    }  # fmt: skip
    page = await web.post(f"{path}/by-hand", data=data, files={"own_pdf": ("giấy.pdf", PDF)})
    assert page.status_code == 422
    assert f'name="t_{ticked.id}" value="yes" checked' in page.text
    for kept in ("Ký nhận 01/12", '<option value="meeting" selected>', 'value="2023-12-01"', "Chọn lại tệp"):
        assert kept in page.text, kept
    data.pop(f"t_{stranger.id}")
    page = await web.post(f"{path}/by-hand", data=data | chosen(page))
    assert page.status_code == 422
    page = await web.post(f"{path}/by-hand", data=data | chosen(page), files={"own_pdf": ("giấy.pdf", PDF)})
    assert page.status_code == 303


async def test_no_letter_that_is_marked_as_secret_is_recorded_as_passed_on_by_hand(
    web: httpx.AsyncClient, desk: Desk
) -> None:
    investor = await desk.delivery("CDT-VSIP")
    path, (ticked, *_), before = desk.path(investor), await _branch(desk, investor), await desk.trace()
    data = {
        "form_token": form_token(await web.get(f"{path}/by-hand")), "how": "paper", "day": "2023-12-01",
        f"t_{ticked.id}": "yes", **WHO,
    }  # fmt: skip
    page = await web.post(f"{path}/by-hand", data=data, files={"own_pdf": ("a.pdf", marked_secret("a.pdf"))})
    assert page.status_code == 422
    assert "Tệp có dấu chỉ mức độ mật" in page.text
    assert f'name="t_{ticked.id}" value="yes" checked' in page.text
    assert await desk.trace() == before


async def test_a_stranger_is_not_reached_by_an_investor(web: httpx.AsyncClient, desk: Desk) -> None:
    investor, stranger = await desk.delivery("CDT-VSIP"), await desk.tenant()
    path, before = desk.path(investor), await desk.trace()
    data = {
        "form_token": form_token(await web.get(f"{path}/by-hand")), "how": "paper", "day": "2023-12-01",
        f"t_{stranger.id}": "yes", **WHO,
    }  # fmt: skip
    page = await web.post(f"{path}/by-hand", data=data)
    assert page.status_code == 422
    assert "không nhận văn bản từ Quý đơn vị" in page.text
    assert await desk.trace() == before


async def test_nobody_but_a_company_with_a_letter_in_hand_sees_that_page(web: httpx.AsyncClient, desk: Desk) -> None:
    assert (await web.get(f"{desk.path(await desk.tenant())}/by-hand")).status_code == 409


# ------------------------------------------------------------------------------------ receipt, names, attacks


async def test_the_receipt_comes_by_mail_once_however_often_it_is_asked_for(
    web: httpx.AsyncClient, desk: Desk
) -> None:
    tenant = await desk.tenant()
    path = desk.path(tenant)
    page = await posted(web, path, "confirm", **WHO)
    for _ in range(2):
        page = await web.post(f"{path}/receipt", data={"form_token": form_token(page)}, follow_redirects=True)
        assert "Biên nhận đã được gửi đến hộp thư của đơn vị." in page.text
    (message,) = await rows(desk, Message, Message.kind == "receipt")
    assert message.address == tenant.address
    assert message.context["mark"] in page.text, "the mail bears the code of the page"


async def test_the_next_form_knows_the_name_that_was_written_before(web: httpx.AsyncClient, desk: Desk) -> None:
    page = await posted(web, desk.path(await desk.delivery("CDT-VSIP")), "confirm", **WHO)
    assert f'value="{WHO["name"]}"' in page.text
    assert f'value="{WHO["position"]}"' in page.text
    assert "set-cookie" not in page.headers


@pytest.mark.parametrize("form", ["not-applicable", "delegate", "by-hand", "receipt"])
async def test_no_form_of_another_site_is_taken(web: httpx.AsyncClient, desk: Desk, form: str) -> None:
    investor = await desk.delivery("CDT-VSIP")
    path, before = desk.path(investor), await desk.trace()
    token = form_token(await web.get(path))
    for data, headers in (
        ({"form_token": "x"}, {}),
        ({"form_token": token}, {"Origin": "https://evil.example"}),
        ({"form_token": token}, {"Sec-Fetch-Site": "cross-site"}),
    ):
        said = data | {"reason": "x", "email": "a@b.example", "by": "x", **WHO}
        assert (await web.post(f"{path}/{form}", data=said, headers=headers)).status_code == 403
    assert (await web.get(f"{path}/{form}")).status_code == (200 if form == "by-hand" else 405)
    assert await desk.trace() == before


async def test_what_an_act_refuses_is_said_in_english_too(web: httpx.AsyncClient, desk: Desk) -> None:
    path = desk.path(await desk.tenant())
    data = {"form_token": form_token(await web.get(path)), "email": "a@b.example", "by": "A"}
    page = await web.post(f"{path}/delegate?lang=en", data=data)
    assert page.status_code == 422
    assert "a mailbox of your own organisation (the same domain)" in page.text
    assert "Chỉ chuyển được" not in page.text


def test_no_refusal_is_read_in_vietnamese_on_an_english_page() -> None:
    pages = Pages(ROOT / "templates" / "portal", "https://x.example")
    taken = ActRefused("số 15/CV-VSIP năm 2023 đã có văn bản khác mang («…»)")
    assert pages.refusal(taken, "en").startswith("This number was already used")
    assert pages.refusal(ActRefused("Lý do chưa ai nghĩ đến."), "en").startswith("This was not recorded.")
    assert pages.refusal(taken, "vi") == str(taken)


async def test_what_is_vietnamese_on_an_english_page_is_marked_as_such_and_nothing_else_is(
    web: httpx.AsyncClient, desk: Desk
) -> None:
    page = (await web.get(f"{desk.path(await desk.delivery('CDT-VSIP'))}?lang=en")).text
    foot = page.partition('<footer class="bottom">')[2]
    assert re.search(r'or contact <span lang="vi">[^<]+</span>:', foot)
    assert 'role="region" aria-label="The full document">\n<div lang="vi">' in page


async def test_a_form_says_which_of_its_fields_may_stay_empty(web: httpx.AsyncClient, desk: Desk) -> None:
    path = desk.path(await desk.delivery("CDT-VSIP"))
    page = (await web.get(path)).text
    assert "Số văn bản của Quý đơn vị (nếu có)</label>" in page
    assert "ví dụ 15 hoặc 15a" in page
    assert 'inputmode="numeric"' not in page, "a telephone would offer no letters"
    fields = re.findall(r'<label for="([a-z_]+-\w+)">([^<]+)</label>(?s:.*?)<(?:input|textarea) ([^>]+)>', page)
    assert len(fields) > 10
    for name, label, said in fields:
        if "file" not in said and name != "contact-email":
            assert ("(nếu có)" in label) != (" required" in said), name
    hand = (await web.get(f"{path}/by-hand")).text
    assert hand.count("Căn cứ (nếu có)</label>") == hand.count('name="e_') > 0


async def test_who_is_listed_by_hand_is_whom_nobody_has_reached_and_the_rest_is_spoken_of(
    web: httpx.AsyncClient, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "MOST_BELOW", 2)
    investor = await desk.delivery("CDT-VSIP")
    first, *fresh = sorted(await _branch(desk, investor), key=lambda one: (one.name, one.id))
    async with desk.house.store.act() as ledger:
        await ledger.change(Delivery, Delivery.id == first.id, state="SENT", due_at=START)
    page = (await web.get(f"{desk.path(investor)}/by-hand")).text
    assert [one.id in page for one in (first, *fresh)] == [False, True, True] + [False] * (len(fresh) - 2)
    assert "Chỉ hiện 2 đơn vị đầu tiên" in page


async def test_every_new_form_stands_in_english_too(web: httpx.AsyncClient, desk: Desk) -> None:
    path = desk.path(await desk.delivery("CDT-VSIP"))
    page = (await web.get(f"{path}?lang=en")).text
    offered = ("It does not apply to us", "Pass it to a colleague", "We have passed it on ourselves", "does not belong")
    assert all(words in page for words in offered)
    hand = (await web.get(f"{path}/by-hand?lang=en")).text
    assert "Tick those who have the document from you" in hand
    assert not re.search(r">[^<]*(Ghi nhận|Đánh dấu)[^<]*<", hand)
