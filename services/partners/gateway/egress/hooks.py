"""Where webhooks are kept, in the service's home."""

from typing import Any

from shared.processing.mongo import Database

WEBHOOKS = "webhooks"
FAILURES = "webhook_failures"


async def forget(home: Database, match: dict[str, Any]) -> None:
    """Delete webhooks with what failed."""
    ids = [hook["_id"] async for hook in home[WEBHOOKS].find(match, {"_id": 1})]
    await home[WEBHOOKS].delete_many({"_id": {"$in": ids}})
    await home[FAILURES].delete_many({"webhook": {"$in": ids}})
