"""Operators at their pages: accounts, a browser that is signed in, forms sent as a browser would."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from typing import Any

import httpx

from congvan.acts import accounts
from congvan.house import House

PASSWORD = "mùa mưa năm nay đến sớm"


async def account(house: House, name: str = "hoa", role: str = "operator", email: str = "hoa@bql.example") -> None:
    who = accounts.Account(name, f"Nguyễn Thị {name.title()}", accounts.Role(role), email)
    await accounts.add(house, who, PASSWORD)


def token_of(page: httpx.Response | str) -> str:
    """The hidden field of a page's forms."""
    text = page if isinstance(page, str) else page.text
    found = re.search(r'name="form_token" value="([^"]+)"', text)
    assert found, f"the page holds no form: {text[:500]}"
    return unescape(found[1])


async def sign_in(
    web: httpx.AsyncClient, name: str = "hoa", password: str = PASSWORD, **more: str
) -> httpx.Response:
    page = await web.get("/office/sign-in")
    data = {"form_token": token_of(page), "name": name, "password": password, **more}
    return await web.post("/office/sign-in", data=data)


@dataclass
class Clerk:
    """A browser of somebody who is signed in."""

    web: httpx.AsyncClient

    async def see(self, path: str, status: int = 200) -> str:
        page = await self.web.get(path)
        assert page.status_code == status, (page.status_code, page.headers.get("location"), page.text[:2000])
        return page.text

    async def do(self, path: str, status: int = 303, files: Any = None, **data: Any) -> httpx.Response:
        token = token_of(await self.see("/office"))
        page = await self.web.post(path, data={"form_token": token, **data}, files=files)
        assert page.status_code == status, (page.status_code, _plain(page.text))
        return page


def _plain(text: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())[:1500]
