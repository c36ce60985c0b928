"""The partners service: the registry of the network, its credentials, and the ingress of events."""

from fastapi import APIRouter

from shared import events
from shared.core import Core
from shared.web import serve

from . import api, credentials, kafka_credentials
from .contract import page
from .egress import feed, refused, webhooks
from .egress.deliveries import deliver
from .egress.forwarding import forward, observe_lag
from .files import uploads
from .ingress import http
from .ingress.kafka import ingress_over_kafka
from .kafka_credentials import access_to_kafka
from .registry import COLLECTIONS, SANDBOX, route, view

core = Core(
    name="partners",
    topics=(*COLLECTIONS, events.SANDBOX),
    indexes={
        **{SANDBOX + collection: [] for collection in COLLECTIONS.values()},
        "organisations": [("kind",), ("region",), ("status",)],
        "agreements": [("parties",), ("programmes",)],
        "programmes": [("institution",), ("competencies.competency",), ("recommendations.status",)],
        "activities": [("kind",), ("organisations",), ("competencies",)],
        "learners": [("readers",), ("programmes.id",), ("internships.enterprise",)],
        "opportunities": [("enterprise",), ("status",)],
        "requests": [],
    },
    tells=(*COLLECTIONS, events.SANDBOX),
    route=route,
    view=view,
)
# One router, and the ingress first: FastAPI looks through them in turn, and most requests are events.
parts = (http, credentials, kafka_credentials, api, feed, webhooks, refused, page, uploads)
router = APIRouter(routes=[route for part in parts for route in part.router.routes])

observations = (observe_lag,)
work = (ingress_over_kafka, access_to_kafka, forward, deliver)

if __name__ == "__main__":
    serve(core, router, observations, work)
