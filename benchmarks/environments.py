"""An environment of its own for each peer, made once under the cache folder, with the versions that its file pins."""

from __future__ import annotations

import hashlib
import importlib
import os
import pkgutil
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks import trainers

ROOT = Path(__file__).parent.parent
OWN = "engrain"
LOCUST = ("locust==2.47.0",)
"""What puts load on servers."""


class Unavailable(Exception):
    """A peer that cannot be had here; the message says why."""


def trainer_names() -> tuple[str, ...]:
    """All trainers, engrain first."""
    return engrain_first(trainers)


def engrain_first(package: ModuleType) -> tuple[str, ...]:
    """The modules of a package that has one for engrain and one for each peer."""
    found = [m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_") and m.name != "base"]
    return tuple(sorted(found, key=lambda name: (name != OWN, name)))


def trainer(name: str) -> Any:
    """A trainer's module (see `benchmarks/trainers`); its library is not imported by that."""
    return importlib.import_module(f"benchmarks.trainers.{name}")


def cache() -> Path:
    """Where environments, workloads and logs are kept."""
    from engrain.fetch import cache_folder

    return cache_folder() / "bench"


def python_of(name: str) -> Path:
    """The Python that has the trainer's library; its environment is made the first time. Raises Unavailable where it cannot be."""
    requirements = trainer(name).REQUIREMENTS
    return made(name, requirements, getattr(trainer(name), "UNNEEDED", ())) if requirements else Path(sys.executable)


def installed() -> Path:
    """The Python of an environment with this tree's engrain as its users have it, without what only its developers add.

    transformers imports some of that where it is there. Raises Unavailable where it cannot be made.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return made(OWN, ("--constraint", str(ROOT / "constraints.txt"), *project["dependencies"], "--editable", str(ROOT)))


def made(name: str, requirements: tuple[str, ...], unneeded: tuple[str, ...] = ()) -> Path:
    """The Python of an environment with these requirements, made the first time. Raises Unavailable where it cannot be."""
    digest = hashlib.sha256("\n".join(requirements).encode()).hexdigest()[:8]
    folder = cache() / "environments" / f"{name}-{digest}"
    python = folder / "bin" / "python"
    if not (folder / "complete").is_file():
        _make(folder, python, requirements, unneeded)
    return python


def _make(folder: Path, python: Path, requirements: tuple[str, ...], unneeded: tuple[str, ...]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    print(f"Making an environment with {' '.join(requirements)} in {folder}", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    done = subprocess.run([python, "-m", "pip", "install", "--quiet", *requirements], capture_output=True, text=True)
    if done.returncode != 0:
        raise Unavailable(f"pip could not install {' '.join(requirements)}: {done.stderr.strip().splitlines()[-1]}")
    if unneeded:
        subprocess.run([python, "-m", "pip", "uninstall", "--quiet", "--yes", *unneeded], check=True)
    (folder / "complete").touch()


def versions_of(name: str) -> dict[str, str]:
    """The versions that a peer ran with: of its libraries and of torch."""
    code = (
        "import json, sys; from importlib.metadata import version, PackageNotFoundError\n"
        "found = {}\n"
        "for name in sys.argv[1:]:\n"
        "    try: found[name] = version(name)\n"
        "    except PackageNotFoundError: pass\n"
        "print(json.dumps(found))"
    )
    wanted = [name, "engrain", "trl", "peft", "transformers", "torch"]
    done = subprocess.run([python_of(name), "-c", code, *dict.fromkeys(wanted)], capture_output=True, text=True, check=True)
    import json

    found: dict[str, str] = json.loads(done.stdout)
    return found


def variables(threads: int) -> Mapping[str, str]:
    """The environment variables of a measured process: so many threads, `benchmarks` and this tree's engrain, not an installed one."""
    own = {
        "OMP_NUM_THREADS": str(threads),
        "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT))),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
    }
    return {**os.environ, **own}
