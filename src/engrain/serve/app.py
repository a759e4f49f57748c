"""The server put together: routes, guard, failures, metrics; and what starts and ends with it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from fastapi import APIRouter, FastAPI, Response, Security
from fastapi.responses import FileResponse
from fastapi.security import HTTPBearer
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import engrain
from engrain.files import lock
from engrain.registry import names
from engrain.serve import failures
from engrain.serve.catalogue import Catalogue
from engrain.serve.database import Database
from engrain.serve.engine import Engine
from engrain.serve.jobs import Jobs
from engrain.serve.logs import log_request
from engrain.serve.metrics import Metrics
from engrain.serve.parts import Parts, Served
from engrain.serve.security import Guard, Keys
from engrain.serve.settings import ServeSettings

PAGE = Path(__file__).parent.parent / "web"
KEYED = Security(HTTPBearer(auto_error=False, description="The key that `engrain serve` shows when it is first started."))
"""Says in the OpenAPI document that a route needs a key; it is the Guard that asks for it."""
router = APIRouter()


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """Whether the server is there; needs no key and tells nothing else."""
    return {"status": "ok"}


@router.get("/metrics", response_class=Response, dependencies=[KEYED])
def metrics(served: Served) -> Response:
    """Counters in Prometheus's format."""
    return Response(served.metrics.text(), media_type="text/plain; version=0.0.4")


def make_parts(settings: ServeSettings, *, key: str | None = None, engine: Engine | None = None) -> Parts:
    """The parts of a server; `key` opens it beside those that it made itself, `engine` stands in for the one of the settings."""
    settings = replace(settings, runs=settings.runs.resolve())  # jobs keep paths longer than a working directory lasts
    database = Database(settings.folder / "server.sqlite")
    jobs, counted = Jobs(database, settings.folder / "jobs", settings.max_jobs), Metrics()
    return Parts(
        settings, database, Keys(database, key), jobs, Catalogue(settings, jobs.store), engine or _engine(settings, counted), counted
    )


def _engine(settings: ServeSettings, counted: Metrics) -> Engine:
    if settings.engine == "vllm":
        from engrain.serve.vllm import VllmEngine

        return VllmEngine(settings)
    from engrain.serve.local import LocalEngine

    return LocalEngine(settings, counted)


def create_app(parts: Parts) -> FastAPI:
    """The app: every module `openai_*` and `studio*` of this folder that has a `router`, and the page in `engrain/web/`."""
    app = FastAPI(title="engrain", version=engrain.__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.parts = parts
    failures.install(app)
    app.include_router(router)
    for name in names("serve"):
        if name.startswith(("openai_", "studio")) and (found := getattr(import_module(f"engrain.serve.{name}"), "router", None)):
            app.include_router(found, dependencies=[KEYED])
    open_paths = {"/healthz", *_page(app)}
    app.add_middleware(Guard, settings=parts.settings, keys=parts.keys, open_paths=open_paths)
    app.add_middleware(Counting, parts=parts)  # around the guard: what that refuses is counted too
    return app


def _page(app: FastAPI) -> set[str]:
    """Serve the page's files, and return their paths: they hold nothing secret, and the page asks for the key."""
    files = {f"/{path.relative_to(PAGE).as_posix()}" for path in PAGE.rglob("*") if path.is_file() and path.suffix != ".py"}
    if "/index.html" not in files:
        return set()
    app.add_api_route("/", lambda: FileResponse(PAGE / "index.html"), include_in_schema=False)
    app.mount("/", StaticFiles(directory=PAGE), name="page")
    return files | {"/"}


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One server at a time has a folder of runs; its jobs and its engine run while it does.

    Raises RunError where another one has it, SettingError where the engine cannot start.
    """
    parts: Parts = app.state.parts
    async with AsyncExitStack() as stack:
        stack.enter_context(lock(parts.settings.folder / "server.lock"))
        stack.callback(parts.database.close)
        stack.callback(parts.jobs.close)
        parts.jobs.start()
        stack.push_async_callback(parts.engine.close)
        await parts.engine.start()
        yield


METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Counting:
    """ASGI middleware that counts and logs every request under its route."""

    def __init__(self, app: ASGIApp, parts: Parts) -> None:
        self.app, self.parts = app, parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note how it was answered."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, started = 499, time.perf_counter()  # 499: the client went away before there was an answer

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            self._note(scope, status, time.perf_counter() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "page" if status < 400 else "none")
        method = scope["method"] if scope["method"] in METHODS else "other"  # a label for whatever is sent would grow without bound
        self.parts.metrics.requests.labels(route, method, str(status)).inc()
        self.parts.metrics.seconds.labels(route).observe(seconds)
        log_request(scope["method"], scope["path"], status, seconds)
