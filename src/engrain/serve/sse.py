"""Server-sent events: one `data:` line for each object."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi.responses import StreamingResponse

from engrain.serve import failures

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def stream(objects: AsyncGenerator[dict[str, Any], None], end: str = "") -> StreamingResponse:
    """A response that sends each object as it comes, then `end`; a failure on the way is sent as an error object."""

    async def lines() -> AsyncGenerator[str, None]:
        try:
            async with aclosing(objects) as source:
                async for item in source:
                    yield f"data: {json.dumps(item, ensure_ascii=False)}\n\n"
        except Exception as error:
            known = failures.of(error)
            yield f"data: {json.dumps(failures.body(known.status, known.message, known.code, known.param))}\n\n"
        if end:
            yield f"data: {end}\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream", headers=HEADERS)
