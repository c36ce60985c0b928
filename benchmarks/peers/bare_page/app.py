"""What a bare page costs: FastAPI fills a Jinja template of as many bytes as the page that it is compared with.

`python -m benchmarks.peers.bare_page.app PORT`. `/page/<bytes>` is for everybody, nothing is looked up. For
`/signed-in/<bytes>` the session, the member and the organisation are found in MongoDB, as an application would do it.
"""

import asyncio
import os
import sys

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.templating import Jinja2Templates
from jinja2 import DictLoader, Environment
from motor.motor_asyncio import AsyncIOMotorClient

PORT = int(sys.argv[1])
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title></head><body><h1>{{ title }}</h1><table>
{% for name, value in rows %}<tr><th scope="row">{{ name }}</th><td>{{ value }}</td></tr>
{% endfor %}</table></body></html>
"""
ROW_BYTES = len('<tr><th scope="row">row 1000</th><td>value 1000</td></tr>\n')
templates = Jinja2Templates(env=Environment(loader=DictLoader({"page.html": PAGE}), autoescape=True))
app = FastAPI()
db = AsyncIOMotorClient(os.environ["MONGODB_URI"])["bench_bare_page"]


@app.get("/page/{size}")
async def page(request: Request, size: int) -> Response:
    """A page of about so many bytes."""
    rows = [(f"row {number}", f"value {number}") for number in range(1_000, 1_000 + size // ROW_BYTES)]
    return templates.TemplateResponse(request, "page.html", {"title": "A page", "rows": rows})


@app.get("/signed-in/{size}")
async def page_of_a_member(request: Request, size: int) -> Response:
    """The same, for somebody whose cookie names a session."""
    wanted = ("sessions", "members", "organisations")
    await asyncio.gather(*(db[name].find_one({"_id": request.headers["cookie"]}) for name in wanted))
    return await page(request, size)


@app.get("/health/ready")
async def ready() -> Response:
    """It answers as soon as it runs."""
    return Response()


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_config=None, server_header=False)
