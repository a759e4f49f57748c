"""What goes wrong with a request, as OpenAI's clients expect it: `{"error": {message, type, param, code}}`."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from engrain.errors import EngrainError, ModelError, RunError

log = logging.getLogger("engrain.serve")
TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


class ApiError(Exception):
    """A request that cannot be served; `param` names the part of it that is wrong, `code` is for programs."""

    def __init__(self, status: int, message: str, code: str | None = None, param: str | None = None, retry_seconds: int = 0) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.headers = {"Retry-After": str(retry_seconds)} if retry_seconds else {}


def body(status: int, message: str, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    """The error object for a response of this status."""
    kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def response(error: ApiError) -> JSONResponse:
    """The response that tells a client of an error."""
    return JSONResponse(body(error.status, error.message, error.code, error.param), error.status, error.headers)


def of(error: Exception) -> ApiError:
    """Any failure as an ApiError. A fault of ours is logged under a number that the client gets in place of its words."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, RunError | ModelError):
        return ApiError(409, str(error), "unusable_model")
    if isinstance(error, EngrainError):
        return ApiError(400, str(error), "invalid_value")
    number = uuid.uuid4().hex[:12]
    log.error("failure", exc_info=error, extra={"failure": number})
    return ApiError(500, f"The server failed; its log has the reason under {number}.", "internal_error")


def install(app: FastAPI) -> None:
    """Answer every failure of the app with an error object."""

    async def known(_: Request, error: Exception) -> JSONResponse:
        return response(of(error))

    async def http(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return JSONResponse(body(error.status_code, str(error.detail)), error.status_code, error.headers)

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return response(_invalid(error.errors()))

    app.add_exception_handler(ApiError, known)
    app.add_exception_handler(EngrainError, known)
    app.add_exception_handler(Exception, known)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)


def _invalid(faults: Any) -> ApiError:
    """All faults of a request in one message; `param` is the first of them."""
    lines = [f"{_place(fault) or 'request'}: {fault['msg']}" for fault in faults]
    return ApiError(400, "\n".join(lines), "invalid_value", _place(faults[0]) if faults else None)


def _place(fault: Mapping[str, Any]) -> str:
    return ".".join(str(part) for part in fault["loc"][1:])
