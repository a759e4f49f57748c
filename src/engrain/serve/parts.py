"""What the routes work with, kept in `app.state.parts`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from engrain.serve.catalogue import Catalogue
from engrain.serve.database import Database
from engrain.serve.engine import Engine
from engrain.serve.gaps import Gaps
from engrain.serve.jobs import Jobs
from engrain.serve.knowledge import Shelf
from engrain.serve.metrics import Metrics
from engrain.serve.security import Keys
from engrain.serve.settings import ServeSettings


@dataclass(frozen=True)
class Parts:
    """Everything one server is made of."""

    settings: ServeSettings
    database: Database
    keys: Keys
    jobs: Jobs
    catalogue: Catalogue
    engine: Engine
    metrics: Metrics
    shelf: Shelf = field(default_factory=Shelf)
    gaps: Gaps = field(default_factory=Gaps)


def parts(request: Request) -> Parts:
    """The parts of the server that got the request."""
    found: Parts = request.app.state.parts
    return found


Served = Annotated[Parts, Depends(parts)]
"""A route's parameter of this type gets the server's parts."""
