"""`/v1/models`: what can be asked."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from engrain.serve.catalogue import Served as Model
from engrain.serve.parts import Served

router = APIRouter(prefix="/v1", tags=["models"])


@router.get("/models")
def list_models(served: Served) -> dict[str, Any]:
    """Every model: the base, and each complete run under its folder's name, or its `ft:` name too where a job made it."""
    return {"object": "list", "data": [described(model) for model in served.catalogue.all()]}


@router.get("/models/{model:path}")
def get_model(model: str, served: Served) -> dict[str, Any]:
    """One model."""
    return described(served.catalogue.find(model)[0])


def described(model: Model) -> dict[str, Any]:
    """The model object; `root` is where its weights are and `parent` its base, as vLLM gives them."""
    parent = model.weights.base if model.run else None
    return {"id": model.name, "object": "model", "created": model.created, "owned_by": "engrain", "root": model.root, "parent": parent}
