"""What a static file costs: Starlette's StaticFiles on uvicorn, with a file of the size of the list that is compared.

`python -m benchmarks.peers.static_file.app PORT FOLDER`. What is in the folder is at `/files/<name>`.
"""

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles


async def ready(_: object) -> Response:
    """It answers as soon as it runs."""
    return Response()


if __name__ == "__main__":
    files = Mount("/files", StaticFiles(directory=sys.argv[2]))
    app = Starlette(routes=[Route("/health/ready", ready), files])
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), http="h11", log_config=None, server_header=False)
