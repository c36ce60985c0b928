"""Credentials by which organisations reach a secured Kafka: SCRAM users, each with what it may do and nothing else.

Kafka is where they are kept; the service keeps nothing of them. Several of an organisation are valid at once.
"""

import asyncio
import secrets
import time
from datetime import UTC, datetime
from typing import Any

from fastapi import Response
from fastapi.responses import JSONResponse

from shared.contract.events import Publisher
from shared.http.lists import found
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Authenticated, EntityId, Running, Service, require
from shared.log.admin import Admin, grants, group_prefix, set_quotas
from shared.log.topics import ensure_egress, ensure_ingress, topic_name, topic_of
from shared.observability import logs
from shared.pages.languages import Text
from shared.settings import Settings

AGAIN_S = 1  # the registry is asked who is suspended
COMPARED_EVERY_S = 60  # Kafka is compared with the registry, though nobody was suspended or reinstated
MOST = 10  # users of one organisation: each has a quota of its own
MOMENT = "%Y%m%dT%H%M%S%fZ"
log = logs.get(__name__)
router = Router()


@router.post("/organisations/{id}/kafka-credentials", tags=["credentials"], status_code=201)
async def make_kafka_credential(service: Running, caller: Authenticated, id: EntityId) -> JSONResponse:
    """Give a registered organisation a further user of Kafka, and its topics. The password is shown this once."""
    require(caller, Publisher.operator)
    made = await give(service, id)
    location = f"/organisations/{id}/kafka-credentials/{made['credential']}"
    return JSONResponse(made, 201, {"Location": location, "Cache-Control": "no-store"})


async def give(service: Service, id: str) -> dict[str, Any]:
    """A further user of Kafka for an organisation, with its password and all that a client needs.

    Raises:
        Problem: the organisation is not registered or suspended, or Kafka has no users.
    """
    settings, admin = service.settings, _admin(service.settings)
    await service.current("organisation", id)
    entry = await found(service.db, "organisations", id)
    if "kind" not in entry:
        raise Problem(404, f"{id} is not registered (yet)")
    if entry["status"] == "suspended":
        raise Problem(409, f"{id} is suspended: {entry['reason']}")
    if len(await all_of(settings, id)) >= MOST:
        raise Problem(409, Text("{id} has {most} users of Kafka; withdraw one", {"id": id, "most": MOST}))
    try:
        ingress, egress = (topic_name(settings.namespace, topic_of(way, id)) for way in ("ingress", "egress"))
    except ValueError as error:
        raise Problem(422, str(error), [("id", "is too long")]) from None
    await ensure_ingress(settings, id)
    await ensure_egress(settings, [id])
    credential, password = f"{datetime.now(UTC):{MOMENT}}-{secrets.token_hex(2)}", secrets.token_urlsafe(32)
    user = _prefix(settings, id) + credential
    await set_quotas(settings, [user], settings.kafka_quota_bytes_per_s)
    await admin.set_user(user, password)
    await admin.grant(grants(settings, id, user))
    return {
        "credential": credential,
        "user": user,
        "password": password,
        "bootstrap_servers": settings.kafka_external,
        "security_protocol": "SASL_SSL",
        "mechanism": "SCRAM-SHA-512",
        "ca": settings.kafka_ca_file.read_text() if settings.kafka_ca_file else None,
        "ingress": ingress,
        "egress": egress,
        "group_prefix": group_prefix(settings, id),
    }


@router.get("/organisations/{id}/kafka-credentials", tags=["credentials"])
async def list_kafka_credentials(service: Running, caller: Authenticated, id: EntityId) -> dict[str, Any]:
    """The users of Kafka that an organisation has, oldest first, without their passwords."""
    require(caller, Publisher.operator)
    return {"items": await all_of(service.settings, id)}


async def all_of(settings: Settings, organisation: str) -> list[dict[str, Any]]:
    """The users of Kafka that an organisation has, oldest first."""
    prefix = _prefix(settings, organisation)
    users = sorted(user for user in await _admin(settings).users(prefix) if _whose(settings, user) == organisation)
    return [{"credential": user.removeprefix(prefix), "user": user, "created_at": _created_at(user)} for user in users]


@router.delete("/organisations/{id}/kafka-credentials/{credential}", tags=["credentials"], status_code=204)
async def withdraw_kafka_credential(
    service: Running, caller: Authenticated, id: EntityId, credential: EntityId
) -> Response:
    """Withdraw a user of Kafka: it cannot log in, and what it has open is refused from now on."""
    require(caller, Publisher.operator)
    await withdraw(service.settings, id, credential)
    return Response(status_code=204)


async def withdraw(settings: Settings, id: str, credential: str) -> None:
    """Withdraw a user of Kafka of an organisation.

    Raises:
        Problem: 404, there is no such user.
    """
    admin, user = _admin(settings), _prefix(settings, id) + credential
    if "." in credential or user not in await admin.users(user):
        raise Problem(404, f"{id} has no Kafka credential {credential}")
    # In this order: `compare` gives a user that there is what it should have.
    try:
        await admin.delete_user(user)
    finally:  # it may be gone though that is not seen yet, and whoever asks again is told 404
        await admin.revoke(grants(settings, id, user))
        await set_quotas(settings, [user], None)


def _admin(settings: Settings) -> Admin:
    if settings.kafka_security == "PLAINTEXT":
        raise Problem(409, "this network's Kafka asks nobody who they are, so there are no credentials; see SECURE=1")
    return Admin(settings)


def _prefix(settings: Settings, organisation: str = "") -> str:
    """How the names of users begin: of an organisation, or of this network."""
    return topic_name(settings.namespace, f"{organisation}." if organisation else "")


def _whose(settings: Settings, user: str) -> str:
    return user.removeprefix(_prefix(settings)).rpartition(".")[0]


def _created_at(user: str) -> str | None:
    try:
        moment = datetime.strptime(user.rpartition(".")[2].partition("-")[0], MOMENT).replace(tzinfo=UTC)
    except ValueError:
        return None
    return moment.isoformat()


async def access_to_kafka(service: Service) -> None:
    """Keep what users may do in line with the registry: nothing while their organisation is suspended."""
    compared: set[str] | None = None
    compared_at = 0.0
    while service.settings.kafka_security != "PLAINTEXT":
        suspended = await _suspended(service)
        if suspended != compared or time.monotonic() - compared_at > COMPARED_EVERY_S:
            await compare(service.settings, suspended)
            compared, compared_at = suspended, time.monotonic()
        await asyncio.sleep(AGAIN_S)


async def _suspended(service: Service) -> set[str]:
    """Who is suspended, as soon as the registry knows all that has been said."""
    while True:
        try:
            await service.current("organisation")
        except Problem:
            continue
        return {doc["_id"] async for doc in service.db["organisations"].find({"status": "suspended"}, {"_id": 1})}


async def compare(settings: Settings, suspended: set[str]) -> None:
    """Grant and revoke what differs, and set quotas.

    Users are asked for last: one that is made meanwhile keeps what it was given.
    """
    admin, prefix = Admin(settings), _prefix(settings)
    granted = await admin.granted(prefix)
    active = {user: whose for user in await admin.users(prefix) if (whose := _whose(settings, user)) not in suspended}
    wanted = {grant for user, whose in active.items() for grant in grants(settings, whose, user)}
    await admin.revoke(granted - wanted)
    await admin.grant(wanted - granted)
    await set_quotas(settings, active, settings.kafka_quota_bytes_per_s)
    if granted != wanted:
        log.info("access_to_kafka", granted=len(wanted - granted), revoked=len(granted - wanted))
