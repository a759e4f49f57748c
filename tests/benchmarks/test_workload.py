from __future__ import annotations

import hashlib
import json
from pathlib import Path

from benchmarks import workload

SHA256_OF_W1 = "9e891932d2737a1dee7fca703ac689d784bcc5baaafb9b9c36a650b18d32674d"


def test_w1_is_the_same_on_every_machine() -> None:
    text = "".join(json.dumps(row) + "\n" for row in workload.chats())
    assert hashlib.sha256(text.encode()).hexdigest() == SHA256_OF_W1
    assert workload.chats(3) == workload.chats()[:3]
    assert workload.chats(3, seed=1) != workload.chats(3)


def test_conversations_have_the_shape_that_the_page_tells() -> None:
    rows = workload.chats()
    assert len(rows) == 512
    words = [len(row["messages"][1]["content"].split()) for row in rows]
    assert 15 <= min(words) < max(words) <= 100
    assert all([turn["role"] for turn in row["messages"]] == ["user", "assistant"] for row in rows)
    assert not any("{" in turn["content"] for row in rows for turn in row["messages"]), "a field was left open"


def test_tokens_are_what_engrain_trains_on(tiny_folder: Path) -> None:
    rows = workload.chats(2)
    (first, _) = workload.token_rows(str(tiny_folder), rows)
    learned = bytes(token - 3 for token in first["labels"] if token >= 3)
    assert len(first["input_ids"]) == len(first["labels"])
    assert len(learned) == len(rows[0]["messages"][1]["content"].encode())
    assert first["labels"][-1] == 2, "the end of the answer is learned"
    assert set(first["labels"][:20]) == {workload.IGNORED}


def test_random_rows_have_their_length() -> None:
    rows = list(workload.random_rows(3, 100, 50))
    assert [len(row["input_ids"]) for row in rows] == [100] * 3
    assert sum(label != workload.IGNORED for label in rows[0]["labels"]) == 43
    assert rows == list(workload.random_rows(3, 100, 50))


def test_files_are_made_once(tmp_path: Path) -> None:
    file = workload.write_rows(tmp_path / "rows.jsonl", workload.chats(2))
    assert workload.read_rows(file) == workload.chats(2)
    assert workload.write_rows(file, [{"other": 1}]) == file
    assert workload.read_rows(file) == workload.chats(2)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]
