"""`congvan operator`: passwords come from stdin or the screen and stand in no argument."""

from __future__ import annotations

import io
import json

import pytest

from congvan.cli import main
from tests.contract.conftest import Desk

PASSWORD = "mùa mưa năm nay đến sớm\n"


@pytest.fixture(autouse=True)
def typed(monkeypatch: pytest.MonkeyPatch, desk: Desk) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD * 4))


def test_an_account_is_made_listed_shut_and_opened_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["operator", "add", "Hoa", "--role", "operator", "--email", "hoa@bql.example"]) == 0
    capsys.readouterr()
    for command, state in (("disable", "disabled"), ("unlock", "open"), ("password", "open")):
        assert main(["operator", command, "hoa"]) == 0
        capsys.readouterr()
        assert main(["operator", "list", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found == [{"name": "hoa", "role": "operator", "email": "hoa@bql.example", "state": state}]


def test_a_role_is_changed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["operator", "add", "hoa", "--role", "viewer"]) == 0
    assert main(["operator", "role", "hoa", "leader"]) == 0
    capsys.readouterr()
    assert main(["operator", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["role"] == "leader"


def test_a_name_taken_an_unknown_one_and_a_bad_one_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["operator", "add", "hoa", "--role", "viewer"]) == 0
    assert main(["operator", "add", "hoa", "--role", "leader"]) == 1
    assert main(["operator", "unlock", "khongco"]) == 1
    assert main(["operator", "add", "tên có dấu", "--role", "viewer"]) == 2
    assert main(["operator", "add", "minh", "--role", "chief"]) == 2
    assert "dùng chữ thường không dấu" in capsys.readouterr().err


def test_a_short_password_is_refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("ngắn\n"))
    assert main(["operator", "add", "hoa", "--role", "viewer"]) == 2
    assert "12" in capsys.readouterr().err
