"""The partners service: the registry of the network, its credentials, and the ingress of events."""

from fastapi import APIRouter

from shared import events
from shared.core import Core
from shared.web import serve

from . import api, contract, credentials, ingress, kafka_credentials
from .kafka_credentials import access_to_kafka
from .kafka_ingress import ingress_over_kafka
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
    },
    route=route,
    view=view,
)
router = APIRouter()
for part in (credentials, kafka_credentials, api, ingress, contract):
    router.include_router(part.router)

if __name__ == "__main__":
    serve(core, router, work=[ingress_over_kafka, access_to_kafka])
