"""Documents over HTTP: what is read, what is not and why, what it gives, and what cannot be done with names."""

from __future__ import annotations

from email.message import EmailMessage
from typing import Any

import pytest
from shop import KITES


def test_documents_are_added_read_and_removed(studio: Any) -> None:
    added = studio.post("/engrain/documents", files=[("files", ("kites.md", KITES)), ("files", ("broken.pdf", b"%PDF-1.7 nothing"))])
    assert added.status_code == 200, added.text
    rows = {row["file"]: row for row in added.json()["documents"]}
    assert rows["kites.md"]["status"] == "read"
    assert rows["kites.md"]["title"] == "Harbour Kites"
    assert rows["kites.md"]["words"] > 40
    assert rows["broken.pdf"]["status"] == "unread"
    assert rows["broken.pdf"]["reason"]
    assert rows["broken.pdf"]["remedy"]
    assert ".docx" in added.json()["suffixes"]
    left = studio.delete("/engrain/documents/broken.pdf").json()["documents"]
    assert [row["file"] for row in left] == ["kites.md"]
    assert studio.delete("/engrain/documents/broken.pdf").status_code == 404


def test_what_is_attached_and_cannot_be_read_is_told_beside_the_message(studio: Any) -> None:
    mail = EmailMessage()
    mail["Subject"] = "Opening hours"
    mail.set_content("We open at 9:00.\n")
    mail.add_attachment(b"BEGIN:VCALENDAR", maintype="application", subtype="ics", filename="date.ics")
    added = studio.post("/engrain/documents", files=[("files", ("hours.eml", mail.as_bytes()))])
    (row,) = added.json()["documents"]
    assert row["status"] == "read"
    (left_out,) = row["left_out"]
    assert left_out.startswith("date.ics: unknown kind of file (.ics); ")


def test_coverage_and_private_data_with_their_places(studio: Any) -> None:
    studio.post("/engrain/documents", files=[("files", ("kites.md", KITES))])
    found = studio.get("/engrain/coverage").json()
    assert found["facts"] > 5
    assert found["coverage"][0]["file"] == "kites.md"
    assert 0 < found["coverage"][0]["share"] <= 1
    assert [(row["kind"], row["hint"]) for row in found["private"]] == [("e-mail address", "mir…")]
    text = studio.get("/engrain/documents/kites.md").json()
    marks = [(section["text"][m["start"] : m["end"]], m["kind"]) for section in text["sections"] for m in section["marks"]]
    assert ("£41", "fact") in marks
    assert ("mira@harbourkites.example", "private") in marks


def test_nothing_to_learn_is_said_and_does_not_fail(studio: Any) -> None:
    assert studio.get("/engrain/coverage").json() == {"facts": 0, "coverage": [], "private": [], "superseded": [], "problem": ""}
    studio.post("/engrain/documents", files=[("files", ("bare.txt", b"Hm."))])
    assert "No facts" in studio.get("/engrain/coverage").json()["problem"]


def test_the_example_business_is_there(studio: Any) -> None:
    rows = studio.post("/engrain/documents/example").json()["documents"]
    assert len(rows) == 8
    assert {row["status"] for row in rows} == {"read"}


@pytest.mark.parametrize("name", ["../outside.md", "/etc/passwd", "..", ".hidden", "a\\b.md"])
def test_a_name_cannot_lead_out_of_the_folder(studio: Any, name: str) -> None:
    refused = studio.post("/engrain/documents", files=[("files", (name, b"text"))])
    assert refused.status_code == 400, refused.text
    assert studio.get("/engrain/documents").json()["documents"] == []


def test_every_route_needs_the_key(studio: Any) -> None:
    for path in ("documents", "coverage", "runs", "builds", "settings", "examples"):
        assert studio.get(f"/engrain/{path}", headers={"Authorization": "Bearer wrong"}).status_code == 401
