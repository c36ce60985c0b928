"""Monitoring: turns all events into indicators that can be explained and proved."""

from shared.http.application import serve
from shared.processing.core import Core

from .api import last_audit, router
from .states import COLLECTIONS, INDEXES, contributions, route, view

core = Core(
    name="monitoring",
    topics=tuple(COLLECTIONS),
    indexes=INDEXES,
    route=route,
    view=view,
    contributions=contributions,
)

if __name__ == "__main__":
    serve(core, router, [last_audit])
