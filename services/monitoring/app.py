"""Monitoring: turns all events into indicators that can be explained and proved."""

from shared.http.application import serve
from shared.http.routing import Router
from shared.processing.core import Core
from shared.processing.frameworks import with_frameworks

from . import alert_api, api, open_data
from .alerts import DueRules, react, read_context
from .api import show_audit
from .pages import alerts as alert_pages
from .pages import (
    changes,
    compare,
    competencies,
    figure,
    kept_reports,
    overview,
    pictures,
    ranking,
    recommendations,
    report,
    sustainability,
    unanswered,
)
from .published import keep_published
from .states import COLLECTIONS, INDEXES, contributions, route, view

core = Core(
    name="monitoring",
    topics=tuple(COLLECTIONS),
    tells=("indicator",),
    indexes=INDEXES,
    route=route,
    view=view,
    react=react,
    contributions=contributions,
    context=read_context,
    due=DueRules().due,
)
core = with_frameworks(core)

parts = (
    *(api, alert_pages, alert_api, overview, ranking, compare, figure),
    *(changes, competencies, sustainability, recommendations, unanswered),
    *(report, kept_reports, pictures, open_data),
)
router = Router(routes=[*api.microcached.routes, *(route for part in parts for route in part.router.routes)])
work = (keep_published,)

if __name__ == "__main__":
    serve(core, router, [show_audit], work=work)
