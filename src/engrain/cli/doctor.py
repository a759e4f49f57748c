"""Look at this machine: what it has, what is missing, what to do."""

from __future__ import annotations

from engrain import doctor
from engrain.cli import _options, _render


@_options.command("engrain doctor", uses="engrain.doctor")
@_options.json_option
def command(as_json: bool) -> int:
    """Look at this machine: what it has, what is missing, and what to do about it.

    Ends with exit code 1 where something stands in the way of a build.
    """
    checks = doctor.examine()
    _options.print_json(checks) if as_json else _render.checks(checks)
    return 1 if any(check.state == "blocks" for check in checks) else 0
