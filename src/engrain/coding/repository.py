"""A code base: its source files as they are worth learning from, and what was left out and why.

Left out is what git ignores (.gitignore, .git/info/exclude), and what was vendored, generated, minified, is binary, holds secrets,
or copies another file.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engrain.errors import ExampleError
from engrain.privacy import holds_secret
from engrain.progress import SILENT, Progress
from engrain.settings import check, setting

VENDORED = frozenset({
    "node_modules", "bower_components", "vendor", "vendors", "third_party", "thirdparty", "external", "site-packages", "dist", "build",
    "target", "out", ".venv", "venv", "__pycache__", ".git", ".hg", ".svn", ".tox", ".mypy_cache", ".idea", ".vscode", "_build",
})  # fmt: skip
LICENCES = re.compile(r"(licen[cs]e|copying|notice|unlicense)([.-].*)?", re.IGNORECASE)
GENERATED = re.compile(
    r"@generated|\bauto(-|matically )?generated\b|\bfile (is|was) generated\b"
    r"|\bdo not (?:edit|modify)\b(?= *(?:[^\w ]|$)| (?:this|the) (?:\w+ )?(?:file|code)\b| (?:it|manually|directly|by hand)\b)",
    re.IGNORECASE,
)
HEAD = 1500
"""Characters of the comments at the beginning of a file in which a note that it was generated stands."""
LOCK_FILES = frozenset({"package-lock.json", "yarn.lock", "pnpm-lock.yaml", "poetry.lock", "cargo.lock", "uv.lock", "go.sum"})
NO_CODE = frozenset({
    "text", "json", "json5", "jsonld", "yaml", "markdown", "restructuredtext", "toml", "ini", "properties", "csv", "xml", "diff", "html",
    "svg", "output", "console", "po", "email", "asc", "pem",
})  # fmt: skip
LONGEST_FILE, LONGEST_LINE, LONGEST_MEAN = 1_000_000, 2000, 160
"""Bytes of a file, and characters of a line and of lines on average, beyond which no person wrote it."""
WORD = re.compile(r"\w+|[^\w\s]")
SHINGLE, SAME = 5, 0.85
"""Words that are compared together, and the share of equal ones from which two files count as copies."""


Rules = tuple[tuple[Path, Any], ...]
"""The folder of each list of what git ignores with what it says, the nearest first."""


@dataclass(frozen=True)
class CodeSettings:
    """What code completion learns from, and how it is measured."""

    language: str | None = setting(None, "The language to learn (tcl, python, …); default: every source file.")
    fim_rate: float = setting(0.5, "Share of examples that practise filling in the middle; the others go from left to right.")
    heldout_files: float = setting(0.1, "Share of the files held out: half of them the newest, half drawn by seed.")
    completions: int = setting(60, "Completions of each kind that base and tuned model make in held-out files.")

    def __post_init__(self) -> None:
        check(
            self,
            fim_rate=(0 <= self.fim_rate <= 1, "must be from 0 to 1"),
            heldout_files=(0 < self.heldout_files < 0.5, "must be above 0 and below 0.5"),
            completions=(self.completions > 0, "must be at least 1"),
        )


@dataclass(frozen=True)
class CodeFile:
    """A source file: its path in the code base, its text and language, and when it was last changed (seconds since 1970)."""

    path: str
    text: str
    language: str
    changed: float
    sha256: str


@dataclass(frozen=True)
class Skipped:
    """A file that is not learned from, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class Repository:
    """The files to learn from, those left out, and the licence files that were seen."""

    files: tuple[CodeFile, ...]
    skipped: tuple[Skipped, ...]
    licences: tuple[str, ...]


def read_repository(paths: Sequence[Path], settings: CodeSettings, progress: Progress = SILENT) -> Repository:
    """The source files under `paths`. Raises ExampleError, with the commonest reasons, where hardly any is left."""
    found, skipped, licences = list[CodeFile](), list[Skipped](), list[str]()
    listed, wanted = list_files(paths), settings.language and settings.language.lower()
    times = {root: changed_times(root) for root in paths}
    with progress.stage("Reading code", len(listed), "files") as stage:
        for name, root, file in listed:
            language = language_of(file.name)
            if LICENCES.fullmatch(file.name) and not language:
                licences.append(name)
            elif language and wanted in (None, *language):
                try:
                    found.append(_read(file, name, language[0], times[root].get(_within(file, root), file.stat().st_mtime)))
                except ExampleError as error:
                    skipped.append(Skipped(name, error.message))
            stage.advance()
    files = _without_copies(found, skipped)
    if len(files) < 3:
        of = f" of the language {settings.language!r}" if settings.language else ""
        raise ExampleError(
            f"Only {len(files)} source files{of} can be learned from; there must be three at least",
            "Name a larger code base, or another --language.",
            [f"{s.file}: {s.reason}" for s in skipped],
        )
    return Repository(tuple(files), tuple(skipped), tuple(licences))


def list_files(paths: Sequence[Path]) -> list[tuple[str, Path, Path]]:
    """Name, root and path of every file under the roots, each file once.

    Names are relative to the root; where two of them would be the same, all are relative to the folder that holds all files.
    """
    found: dict[Path, tuple[Path, Path]] = {}
    for root in paths:
        for file in walk(root):
            found.setdefault(file.resolve(), (root, file))
    names = [_within(file, root) for root, file in found.values()]
    if len(set(names)) < len(names):
        common = os.path.commonpath([file.absolute().parent for _, file in found.values()])
        names = [file.absolute().relative_to(common).as_posix() for _, file in found.values()]
    return [(name, root, file) for name, (root, file) in zip(names, found.values(), strict=True)]


def _within(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix() if root.is_dir() else file.name


def walk(root: Path) -> Iterator[Path]:
    """The files under `root` in order of their names, without what git ignores and what was vendored."""
    if root.is_file():
        yield root
        return

    def within(folder: Path, rules: Rules) -> Iterator[Path]:
        rules = (*_rules(folder), *rules)
        for path in sorted(folder.iterdir()):
            if path.is_symlink() or _is_ignored(path, rules):
                continue
            if path.is_file():
                yield path
            elif path.is_dir() and path.name.lower() not in VENDORED:
                yield from within(path, rules)

    top = root.resolve()
    for path in within(top, _rules_above(top)):
        yield root / path.relative_to(top)


def _rules(folder: Path) -> Rules:
    """What the folder's own .gitignore says, and then, as git has it, the list that the repository keeps for this disk alone."""
    import pathspec

    files = [file for name in (".gitignore", ".git/info/exclude") if (file := folder / name).is_file()]
    texts = [file.read_text(encoding="utf-8", errors="replace") for file in files]
    return tuple((folder, pathspec.GitIgnoreSpec.from_lines(text.splitlines())) for text in texts)


def _rules_above(root: Path) -> Rules:
    """What the folders above say, up to the one with .git, the nearest first; nothing where they ignore `root`, which was named."""
    folders = [root, *root.parents]
    top = next((number for number, folder in enumerate(folders) if (folder / ".git").exists()), 0)
    rules = tuple(rule for folder in folders[1 : top + 1] for rule in _rules(folder))
    return () if any(_is_ignored(folder, _reaching(folder, rules)) for folder in folders[:top]) else rules


def _reaching(folder: Path, rules: Rules) -> Rules:
    """The rules of folders above this one."""
    return tuple((home, spec) for home, spec in rules if home in folder.parents)


def _is_ignored(path: Path, rules: Rules) -> bool:
    """Whether a path is ignored, as git decides it: by the nearest list that says anything about it."""
    ending = "/" if path.is_dir() else ""
    found = (spec.check_file(path.relative_to(home).as_posix() + ending).include for home, spec in rules)
    return next((include for include in found if include is not None), False)


def language_of(name: str) -> tuple[str, ...]:
    """The names of the language of a source file, in small letters (the first is the usual one); none for data and documents."""
    from pygments.lexers import find_lexer_class_for_filename

    lexer = find_lexer_class_for_filename(name)
    if lexer is None or set(lexer.aliases) & NO_CODE or not lexer.aliases or name.endswith("_history"):
        return ()
    return (*lexer.aliases, lexer.name.lower())


def changed_times(root: Path) -> dict[str, float]:
    """Path → when it was last changed, from git's history; empty where there is none."""
    command = ["git", "-C", str(root), "log", "--format=%x00%ct", "--name-only", "--relative", "-z"]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    times: dict[str, float] = {}
    moment = 0.0
    for part in done.stdout.decode("utf-8", errors="replace").split("\0") if not done.returncode else ():
        text = part.strip("\n")
        if text.isdigit() and len(text) >= 9:
            moment = float(text)
        elif text:
            times.setdefault(text, moment)
    return times


def split_files(files: Sequence[CodeFile], share: float, seed: int) -> tuple[list[CodeFile], list[CodeFile]]:
    """Files to train on and files held out, whole files each: the newest, and as many others drawn by seed."""
    ordered = sorted(files, key=lambda file: (file.changed, file.sha256))
    count = max(1, round(share * len(files)))
    newest, rest = ordered[len(ordered) - (count + 1) // 2 :], ordered[: len(ordered) - (count + 1) // 2]
    drawn = random.Random(seed).sample(rest, count // 2)
    held = {file.path for file in (*newest, *drawn)}
    return [f for f in files if f.path not in held], [f for f in files if f.path in held]


def _read(path: Path, name: str, language: str, changed: float) -> CodeFile:
    """A source file. Raises ExampleError with the reason why nothing is to be learned from it."""
    if path.name.lower() in LOCK_FILES:
        raise ExampleError("it is a lock file")
    if path.stat().st_size > LONGEST_FILE:
        raise ExampleError(f"it has more than {LONGEST_FILE:,} bytes")
    data = path.read_bytes()
    if b"\0" in data[:8000]:
        raise ExampleError("it is binary")
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        raise ExampleError("it is not UTF-8 text") from None
    reason = _unwanted(path.name, language, text)
    if reason:
        raise ExampleError(reason)
    return CodeFile(name, text, language, changed, hashlib.sha256("".join(text.split()).encode()).hexdigest())


def _unwanted(name: str, language: str, text: str) -> str:
    """Why a text is not to be learned from; "" where it is."""
    lines = text.split("\n")
    if len(text.strip()) < 40:
        return "there is hardly anything in it"
    if ".min." in name or max(map(len, lines)) > LONGEST_LINE or len(text) / len(lines) > LONGEST_MEAN:
        return "it is minified"
    if GENERATED.search(_top_comments(language, text)[:HEAD]):
        return "it was generated"
    return "it seems to hold a key or password" if holds_secret(text) else ""


def _top_comments(language: str, text: str) -> str:
    """The comments that stand before all code."""
    from pygments.lexers import get_lexer_by_name
    from pygments.token import Comment

    tokens = get_lexer_by_name(language).get_tokens(text)
    return "".join(words for _, words in itertools.takewhile(lambda token: token[0] in Comment or not token[1].strip(), tokens))


def _without_copies(files: Sequence[CodeFile], skipped: list[Skipped]) -> list[CodeFile]:
    """One of each set of files that are equal but for white space, or nearly equal (MinHash of their words)."""
    try:
        from datasketch import MinHash, MinHashLSH
    except ImportError as error:
        raise ExampleError("finding copies among files needs datasketch", "pip install 'engrain[code]'") from error
    kept, seen, near = list[CodeFile](), dict[str, str](), MinHashLSH(threshold=SAME, num_perm=64)
    sketches = dict[str, MinHash]()
    for file in files:
        if file.sha256 in seen:
            skipped.append(Skipped(file.path, f"it is equal to {seen[file.sha256]}"))
            continue
        sketch = MinHash(num_perm=64)
        sketch.update_batch(_shingles(file.text))
        like = [path for path in near.query(sketch) if sketches[path].jaccard(sketch) >= SAME]  # the query's own threshold is soft
        if like:
            skipped.append(Skipped(file.path, f"it is nearly equal to {min(like)}"))
            continue
        near.insert(file.path, sketch)
        sketches[file.path] = sketch
        seen[file.sha256] = file.path
        kept.append(file)
    return kept


def _shingles(text: str) -> list[bytes]:
    words = WORD.findall(text)
    return [" ".join(words[i : i + SHINGLE]).encode() for i in range(max(1, len(words) - SHINGLE + 1))]
