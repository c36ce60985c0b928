"""Pictures that institutions have given for their badges, in place of the drawn ones. Kept in the home, backed up."""

from datetime import UTC, datetime

from shared.http.service import Service

PICTURES = "badge_pictures"


def _id(institution: str, competency: str) -> str:
    return f"{institution} {competency}"


async def find(service: Service, institution: str, competency: str) -> bytes | None:
    """The PNG that an institution has given for a competency."""
    doc = await service.store.home[PICTURES].find_one({"_id": _id(institution, competency)})
    return bytes(doc["png"]) if doc else None


async def keep(service: Service, institution: str, competency: str, png: bytes) -> None:
    """Let a picture, which must be pixels, be that of an institution's badge for a competency."""
    kept = {"institution": institution, "competency": competency, "png": png, "at": datetime.now(UTC)}
    await service.store.home[PICTURES].replace_one({"_id": _id(institution, competency)}, kept, upsert=True)


async def forget(service: Service, institution: str, competency: str) -> None:
    """Let the badge be the drawn one again."""
    await service.store.home[PICTURES].delete_one({"_id": _id(institution, competency)})
