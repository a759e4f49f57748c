from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from engrain.coding.repository import CodeFile, CodeSettings, changed_times, language_of, read_repository, split_files
from engrain.errors import ExampleError, SettingError

ANY = CodeSettings()


def code(number: int, lines: int = 12) -> str:
    """A Tcl file that has little in common with others."""
    return "".join(f"proc p{number}_{i} {{x}} {{ return [expr {{$x * {number * 7 + i}}}] }} ;# word{number}{i}\n" for i in range(lines))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(5):
        (tmp_path / f"f{i}.tcl").write_text(code(i))
    return tmp_path


def put(folder: Path, name: str, text: str | bytes) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def paths(folder: Path, settings: CodeSettings = ANY) -> list[str]:
    return [file.path for file in read_repository([folder], settings).files]


def reason(folder: Path, name: str) -> str:
    return next(s.reason for s in read_repository([folder], ANY).skipped if s.file == name)


@pytest.mark.parametrize("name", ["key.asc", "site.pem", "id_rsa", "mail.eml", ".bash_history", "app.properties", "de.po"])
def test_what_holds_keys_letters_or_settings_is_no_code(name: str) -> None:
    assert language_of(name) == ()


@pytest.mark.parametrize(("language", "name"), [("Tcl", "a.tcl"), ("C++", "a.cpp"), ("Python", "a.py"), ("cpp", "a.cpp"), ("C#", "a.cs")])
def test_a_language_is_found_however_it_is_spelled(tmp_path: Path, language: str, name: str) -> None:
    for number in range(3):
        put(tmp_path, f"{number}{name}", code(number))
    assert len(paths(tmp_path, CodeSettings(language=language))) == 3


def test_source_files_are_read_with_path_and_language(folder: Path) -> None:
    put(folder, "lib/a.py", "def area(width, height):\n    return width * height\n")
    put(folder, "readme.md", "# Not code\n" * 9)
    put(folder, "data.json", '{"a": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]}')
    files = {file.path: file for file in read_repository([folder], ANY).files}
    assert set(files) == {*(f"f{i}.tcl" for i in range(5)), "lib/a.py"}
    assert files["lib/a.py"].language == "python"
    assert files["f0.tcl"].text == code(0)
    assert paths(folder, CodeSettings(language="tcl")) == [f"f{i}.tcl" for i in range(5)]


def test_what_gitignore_names_is_not_read(folder: Path) -> None:
    put(folder, ".gitignore", "secret/\n*.tmp.tcl\n!keep.tmp.tcl\n")
    for number, name in enumerate(("secret/a.tcl", "b.tmp.tcl", "keep.tmp.tcl", "sub/c.tcl", "sub/d.tcl"), 20):
        put(folder, name, code(number))
    put(folder, "sub/.gitignore", "/d.tcl\n")
    assert set(paths(folder)) == {*(f"f{i}.tcl" for i in range(5)), "keep.tmp.tcl", "sub/c.tcl"}


def test_what_git_excludes_on_this_disk_is_not_read_unless_a_gitignore_takes_it_back(folder: Path) -> None:
    put(folder, ".git/info/exclude", "# git ls-files --others\nlocal/\n*.gen.tcl\n")
    put(folder, ".gitignore", "!keep.gen.tcl\n")
    for number, name in enumerate(("local/a.tcl", "sub/b.gen.tcl", "sub/keep.gen.tcl", "sub/c.tcl", "sub/d.tcl"), 20):
        put(folder, name, code(number))
    kept = ["sub/c.tcl", "sub/d.tcl", "sub/keep.gen.tcl"]
    assert set(paths(folder)) == {*(f"f{i}.tcl" for i in range(5)), *kept}
    assert paths(folder / "sub") == [name.removeprefix("sub/") for name in kept]


def test_the_nearest_gitignore_decides(folder: Path) -> None:
    put(folder, ".gitignore", "*.gen.tcl\n")
    put(folder, "sub/.gitignore", "!keep.gen.tcl\n")
    for number, name in enumerate(("a.gen.tcl", "sub/keep.gen.tcl", "sub/b.gen.tcl", "sub/deep/keep.gen.tcl"), 20):
        put(folder, name, code(number))
    assert set(paths(folder)) == {*(f"f{i}.tcl" for i in range(5)), "sub/keep.gen.tcl", "sub/deep/keep.gen.tcl"}


def test_gitignore_files_above_count_up_to_the_top_of_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, ".gitignore", "a.tcl\n")
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    put(tmp_path / "repository", ".gitignore", "/lib/b.tcl\nextra/\n")
    for number, name in enumerate(("lib/a.tcl", "lib/b.tcl", "lib/c.tcl", "lib/d.tcl", *(f"extra/{i}.tcl" for i in range(3)))):
        put(tmp_path / "repository", name, code(number))
    assert paths(tmp_path / "repository" / "lib") == ["a.tcl", "c.tcl", "d.tcl"]
    assert len(paths(tmp_path / "repository" / "extra")) == 3, "what is named is meant, also where it is ignored"
    monkeypatch.chdir(tmp_path / "repository" / "extra")
    assert paths(Path("../lib")) == ["a.tcl", "c.tcl", "d.tcl"]


def test_vendored_folders_and_links_are_passed_over(folder: Path) -> None:
    put(folder, "node_modules/x/a.js", "function a() { return 1 }\n" * 4)
    put(folder, "third_party/b.tcl", code(30))
    (folder / "link.tcl").symlink_to(folder / "f0.tcl")
    assert set(paths(folder)) == {f"f{i}.tcl" for i in range(5)}


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.tcl", b"proc a {} {}\0\0\0" * 9, "binary"),
        ("a.tcl", "# naïve\n".encode("latin-1") * 9, "not UTF-8"),
        ("a.tcl", "# short\n", "hardly anything"),
        ("a.min.js", code(1), "minified"),
        ("a.js", "var a=1;" * 400, "minified"),
        ("a.tcl", "# This file is generated by a tool.\n" + code(40), "generated"),
        ("a.py", "# Code generated by protoc. DO NOT EDIT.\n" + "x = 1  # one more line of it\n" * 5, "generated"),
        ("a.c", "#ifndef LOOM\n#define LOOM\n/* Made from loom.y:\n   do not edit by hand */\n" + "int warp;\n" * 5, "generated"),
        ("a.py", 'def spin(wool):\n    """Card it first; do not modify the input array."""\n    return [w * 2 for w in wool]\n', None),
        ("a.py", "# Spins wool: callers do not modify the bobbins.\ndef spin(wool):\n    return [w * 2 for w in wool]\n", None),
        ("a.py", "pin = Pin(25)\nsecret = hashlib.sha256(x)\n" + "x = 1  # one more line of it\n" * 5, None),
        ("a.py", 'token = "ghp_' + "a1B2" * 10 + '"\n' + "x = 1  # one more line of it\n" * 5, "key or password"),
        ("z.tcl", code(0).replace("  ", " ").replace(" ", "  "), "equal to f0.tcl"),
        ("near.tcl", code(0, 40), None),
    ],
)
def test_what_is_not_worth_learning_from(folder: Path, name: str, text: str | bytes, told: str | None) -> None:
    put(folder, name, text)
    if told is None:
        assert name in paths(folder)
    else:
        assert told in reason(folder, name)


def test_nearly_equal_files_count_once(folder: Path) -> None:
    put(folder, "near.tcl", code(0).replace("word00", "changed"))
    assert reason(folder, "near.tcl") == "it is nearly equal to f0.tcl"


def test_licence_files_are_noted(folder: Path) -> None:
    for name in ("LICENSE", "COPYING.txt", "lib/license.terms"):
        put(folder, name, "Permission is hereby granted …")
    put(folder, "license.py", "def check_license(key):\n    return key.startswith('loom')\n")
    found = read_repository([folder], ANY)
    assert found.licences == ("COPYING.txt", "LICENSE", "lib/license.terms")
    assert "license.py" in {file.path for file in found.files}


def test_files_of_several_folders_keep_apart(tmp_path: Path) -> None:
    for number, name in enumerate(("old/a.tcl", "old/main.tcl", "new/main.tcl", "new/b.tcl")):
        put(tmp_path, name, code(number))
    both = read_repository([tmp_path / "old", tmp_path / "new"], ANY)
    assert {file.path: file.text for file in both.files} == {
        name: code(number) for number, name in enumerate(("old/a.tcl", "old/main.tcl", "new/main.tcl", "new/b.tcl"))
    }
    again = read_repository([tmp_path, tmp_path / "old"], ANY)
    assert len(again.files) == 4
    assert again.skipped == ()


def test_too_little_code_is_refused_with_the_reasons(tmp_path: Path) -> None:
    put(tmp_path, "a.tcl", "# short\n")
    with pytest.raises(ExampleError, match="Only 0 source files of the language 'tcl'") as caught:
        read_repository([tmp_path], CodeSettings(language="tcl"))
    assert caught.value.problems == ("a.tcl: there is hardly anything in it",)


def test_languages() -> None:
    assert language_of("a.tcl")[0] == "tcl"
    assert language_of("a.py")[0] == "python"
    assert language_of("README.md") == language_of("a.json") == language_of("a") == ()


def git(folder: Path, *arguments: str, when: str = "") -> None:
    names = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when} if when else {}
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, env={**os.environ, **names})


def test_the_time_of_a_file_is_that_of_its_last_commit(folder: Path) -> None:
    git(folder, "init")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "first", when="2020-01-01T00:00:00Z")
    put(folder, "f3.tcl", code(3) + "# more\n")
    git(folder, "commit", "-am", "second", when="2024-01-01T00:00:00Z")
    times = changed_times(folder)
    assert times == {**{f"f{i}.tcl": 1577836800.0 for i in range(5)}, "f3.tcl": 1704067200.0}
    files = read_repository([folder], ANY).files
    _, held = split_files(files, 0.2, 0)
    assert [file.path for file in held] == ["f3.tcl"]


def test_a_folder_without_history_has_no_times(tmp_path: Path) -> None:
    assert changed_times(tmp_path) == {} or os.environ.get("GIT_DIR")


def test_held_out_are_the_newest_and_others_by_seed() -> None:
    files = [CodeFile(f"{i}.tcl", "", "tcl", float(i), str(i)) for i in range(40)]
    train, held = split_files(files, 0.2, 0)
    assert len(held) == 8
    assert {f.path for f in held} >= {f"{i}.tcl" for i in range(36, 40)}
    assert not {f.path for f in train} & {f.path for f in held}
    assert len(train) == 32
    assert [f.path for f in split_files(files, 0.2, 1)[1]] != [f.path for f in held]


@pytest.mark.parametrize("values", [{"fim_rate": 1.5}, {"heldout_files": 0.0}, {"completions": 0}])
def test_settings_that_make_no_sense_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(SettingError):
        CodeSettings(**values)  # type: ignore[arg-type]
