"""May an organisation's tokens be used now? What the operator says holds at once, in every service."""

from typing import Any

from shared.contract.events import CredentialWithdrawn, OrganisationReinstated, OrganisationSuspended
from shared.processing import facts
from shared.processing.facts import State

CHANGES = (OrganisationSuspended, OrganisationReinstated, CredentialWithdrawn)


def access(state: State) -> dict[str, Any]:
    """The field `access` of an organisation's view, if there is anything to say.

    It says why the organisation is `suspended`, and which of its credentials were `withdrawn`.
    """
    shown: dict[str, Any] = {}
    change = facts.last(state, "organisation.suspended", "organisation.reinstated")
    if change is not None and "reason" in change["data"]:
        shown["suspended"] = change["data"]["reason"]
    if withdrawn := facts.facts(state, "credential.withdrawn"):
        shown["withdrawn"] = sorted(fact["data"]["credential"] for fact in withdrawn.values())
    return {"access": shown} if shown else {}
