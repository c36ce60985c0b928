"""May an organisation's tokens be used now? What the operator says holds at once, in every service."""

from typing import Any

from shared import facts
from shared.events import OrganisationReinstated, OrganisationSuspended, OrganisationTokensRevoked
from shared.facts import State

CHANGES = (OrganisationSuspended, OrganisationReinstated, OrganisationTokensRevoked)


def access(state: State) -> dict[str, Any]:
    """The field `access` of an organisation's view, if there is anything to say: why it is `suspended`, and `since`
    when tokens count (those issued before were revoked).
    """
    shown: dict[str, Any] = {}
    change = facts.last(state, "organisation.suspended", "organisation.reinstated")
    if change is not None and "reason" in change["data"]:
        shown["suspended"] = change["data"]["reason"]
    if revoked := facts.last(state, "organisation.tokens_revoked"):
        shown["since"] = revoked["time"]
    return {"access": shown} if shown else {}
