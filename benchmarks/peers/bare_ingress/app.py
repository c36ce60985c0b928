"""What a bare endpoint costs: FastAPI validates with pydantic, aiokafka publishes (all replicas, idempotent), 202.

`python -m benchmarks.peers.bare_ingress.app PORT TOPIC`. No tokens, no registry, no rejected events, no batch
limits. It also reads one counter, for the section on reads.
"""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import uvicorn
from aiokafka import AIOKafkaProducer
from fastapi import FastAPI, Response
from motor.motor_asyncio import AsyncIOMotorClient
from pydantic import Field

from benchmarks.peers.learners import EmploymentRecorded, LearnerGraduated

PORT, TOPIC = int(sys.argv[1]), sys.argv[2]
Event = Annotated[LearnerGraduated | EmploymentRecorded, Field(discriminator="type")]
state: dict[str, Any] = {}


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    producer = AIOKafkaProducer(
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        acks="all",
        enable_idempotence=True,
        linger_ms=2,
        max_batch_size=256 * 1024,
        compression_type="lz4",
    )
    await producer.start()
    state["producer"], state["mongo"] = producer, AsyncIOMotorClient(os.environ["MONGODB_URI"])
    yield
    await producer.stop()


app = FastAPI(lifespan=lifespan)


async def publish(event: LearnerGraduated | EmploymentRecorded) -> Any:
    value = event.model_dump_json(exclude_none=True).encode()
    return await state["producer"].send(TOPIC, value, key=event.partitionkey.encode())


@app.post("/events", status_code=202)
async def one(event: Event) -> dict[str, str]:
    """One event."""
    sent = await (await publish(event))
    return {"id": event.id, "event": f"{sent.topic}/{sent.partition}/{sent.offset}"}


@app.post("/batches", status_code=202)
async def batch(events: list[Event]) -> dict[str, int]:
    """A batch of events."""
    for acknowledged in [await publish(event) for event in events]:
        await acknowledged
    return {"accepted": len(events)}


@app.get("/counters/{database}/{id}")
async def counter(database: str, id: str) -> dict[str, Any]:
    """One counter document."""
    return await state["mongo"][database]["_counters"].find_one({"_id": id}) or {}


@app.get("/health/ready")
async def ready() -> Response:
    """It answers when the producer has started."""
    return Response()


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_config=None, server_header=False)
