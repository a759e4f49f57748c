"""Serve runs over HTTP: an OpenAI-compatible API, fine-tuning jobs, and a page."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

import click

from engrain.cli import _options
from engrain.errors import SettingError
from engrain.serve.settings import ServeSettings


@_options.command("engrain serve --port 8000", uses="engrain.serve.app")
@_options.dataclass_options(ServeSettings)
@click.option("--new-key", metavar="NAME", help="Make one more API key, print it and end.")
def command(new_key: str | None, **values: Any) -> None:
    """Serve the runs of a folder: chat, completions and fine-tuning jobs as OpenAI's API has them, and a page for people.

    An API key is made and printed at the first start (only its hash is kept), or taken from ENGRAIN_API_KEY.
    """
    from engrain.serve.app import create_app, make_parts

    settings = ServeSettings(**values)
    given = os.environ.get("ENGRAIN_API_KEY") or None
    parts = make_parts(settings, key=given)
    if new_key is not None:
        click.echo(parts.keys.new(new_key))
        return
    with _listen(settings) as listening:
        _greet(listening.getsockname()[1], settings, given or parts.keys.first())
        _run(create_app(parts), listening)


def _listen(settings: ServeSettings) -> socket.socket:
    """A socket at the address; SettingError when it is taken or not this machine's."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        place = f"host={settings.host!r}, port={settings.port}"
        raise SettingError(f"{place}: the server cannot listen there: {error.strerror}", "Choose another --port or --host.") from error
    return listening


def _greet(port: int, settings: ServeSettings, key: str | None) -> None:
    """Say where the server is. The key stands behind #, which browsers do not send."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{host}:{port}"
    click.echo(f"Page: {url}/#key={key}" if key else f"Page: {url}/ (asks for the key that was printed at the first start)")
    click.echo(f"API:  {url}/v1" + (f" with the key {key}" if key else ""))


def _run(app: Any, listening: socket.socket) -> None:
    """Serve until a signal; whoever is being answered then has a few seconds. Raises EngrainError where the server cannot start."""
    import uvicorn

    from engrain.serve.app import lifespan
    from engrain.serve.logs import log_to_stderr

    log_to_stderr()
    config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=5, server_header=False)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        around = lifespan(app)  # entered here and not by uvicorn, which would end with a traceback where it fails
        runner.run(around.__aenter__())
        try:
            runner.run(uvicorn.Server(config).serve(sockets=[listening]))
        finally:
            runner.run(around.__aexit__(None, None, None))
