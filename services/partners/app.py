"""The partners service: the registry of the network, its credentials, and the ingress of events."""

from shared.contract import events
from shared.http.application import serve
from shared.http.routing import Router
from shared.processing.core import Core
from shared.processing.frameworks import with_frameworks

from .gateway import credentials, kafka_credentials
from .gateway.contract import page
from .gateway.egress import feed, rejections, webhooks
from .gateway.egress.deliveries import deliver
from .gateway.egress.forwarding import forward, observe_lag
from .gateway.files import uploads
from .gateway.files.jobs import work_on_uploads
from .gateway.ingress import http
from .gateway.ingress.kafka import ingress_over_kafka
from .gateway.kafka_credentials import access_to_kafka
from .network import api
from .network.registry import COLLECTIONS, SANDBOX, route, view
from .pages import browse, confirm, do, files, health, home, integration, public
from .pages import rejections as rejection_pages
from .people import account, member_pages, sign_in
from .people.alert_mail import mail_alerts

core = Core(
    name="partners",
    topics=(*COLLECTIONS, events.SANDBOX),
    indexes={
        **{SANDBOX + collection: [] for collection in COLLECTIONS.values()},
        "organisations": [("kind",), ("region",), ("status",)],
        "agreements": [("parties",), ("programmes",)],
        "programmes": [("institution",), ("competencies.competency",), ("recommendations.status",)],
        "activities": [("kind",), ("organisations",), ("competencies",)],
        "learners": [("readers",), ("programmes.id",), ("internships.enterprise",), ("certificates",)],
        "opportunities": [("enterprise",), ("status",)],
        "requests": [("respondent", "due")],
    },
    tells=(*COLLECTIONS, events.SANDBOX),
    route=route,
    view=view,
)
core = with_frameworks(core)
# One router, and the ingress first: FastAPI looks through them in turn, and most requests are events.
gateway = (http, credentials, kafka_credentials, api, feed, webhooks, rejections, page, uploads)
people = (
    sign_in,
    account,
    member_pages,
    do,
    home,
    confirm,
    files,
    health,
    integration,
    rejection_pages,
    browse,
    public,
)
router = Router(routes=[route for part in (*gateway, *people) for route in part.router.routes])

observations = (observe_lag,)
work = (ingress_over_kafka, access_to_kafka, forward, deliver, work_on_uploads, mail_alerts)

if __name__ == "__main__":
    serve(core, router, observations, work)
