"""The partners service: the registry of the network, its credentials, and the ingress of events."""

from fastapi import APIRouter

from shared import events
from shared.core import Core
from shared.web import serve

from . import api, contract, credentials, feed, ingress, refused, uploads, webhooks
from .deliveries import deliver
from .egress import forward, observe_lag
from .registry import COLLECTIONS, SANDBOX, route, view

core = Core(
    name="partners",
    topics=(*COLLECTIONS, events.SANDBOX),
    indexes={
        **{SANDBOX + collection: [] for collection in COLLECTIONS.values()},
        "organisations": [("kind",), ("region",)],
        "agreements": [("parties",), ("programmes",)],
        "programmes": [("institution",), ("competencies.competency",), ("recommendations.status",)],
        "activities": [("kind",), ("organisations",), ("competencies",)],
        "learners": [("readers",), ("programmes.id",), ("internships.enterprise",)],
        "opportunities": [("enterprise",), ("status",)],
    },
    route=route,
    view=view,
)
router = APIRouter()
for part in (credentials, api, ingress, feed, webhooks, refused, contract, uploads):
    router.include_router(part.router)

observations = (observe_lag,)
work = (forward, deliver)

if __name__ == "__main__":
    serve(core, router, observations, work)
