from __future__ import annotations

from pathlib import Path

import pytest

from engrain.cli import main


def test_a_file_in_another_encoding_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "cafe.tcl"
    source.write_bytes("# caf\u00e9\n".encode("latin-1"))
    assert main(["complete", str(source)]) == 1
    assert capsys.readouterr().err.startswith(f"engrain: {source}: not valid UTF-8 text\nSave it as UTF-8.")
