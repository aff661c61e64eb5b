"""The commands of what is kept: audit, retention, registers, reports."""

from __future__ import annotations

import json
import sqlite3

from tests.contract.conftest import Desk


def test_an_audit_of_an_untouched_campaign_ends_well_and_exports_its_log(desk: Desk) -> None:
    campaign = desk.launched()
    desk.turn()
    path = desk.folder / "log.jsonl"
    verdict = desk.must("audit", campaign, "--export", path, "--json").json
    assert verdict["sound"]
    assert verdict["findings"] == []
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert sum(line["record"] == "event" for line in lines) == verdict["events"] > 10
    assert "niêm phong" in desk.must("audit", campaign).out


def test_an_audit_names_what_was_changed_by_hand_and_ends_with_one(desk: Desk) -> None:
    campaign = desk.launched()
    desk.turn()
    with sqlite3.connect(desk.home / "congvan.db") as database:
        database.execute("UPDATE deliveries SET state = 'COMPLETED' WHERE state = 'SENT'")
    ran = desk.run("audit", campaign)
    assert ran.status == 1
    assert "sổ ghi COMPLETED" in ran.out
    assert desk.run("audit", campaign, "--json").json["findings"]


def test_retention_says_what_it_would_purge(desk: Desk) -> None:
    desk.launched()
    assert "Không có gì quá thời hạn giữ" in desk.must("retention", "--dry-run").out
    assert desk.must("retention", "--dry-run", "--json").json["purged"] == []
