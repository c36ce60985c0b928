"""A member's visit to a page of partners, which has the sessions: one that has ended is over at once."""

from typing import Annotated, Any

from fastapi import Depends, Request

from services.partners.network.registry import OPERATOR
from shared.http.auth import Role
from shared.http.service import Running, Service
from shared.http.visits import NETWORK, STAFF, MemberVisit, demand_role, member_visit
from shared.pages.chosen import Chosen
from shared.pages.languages import N_, Language, translated

from . import sessions


async def _member_visit(request: Request, service: Running, language: Chosen) -> MemberVisit:
    return await member_visit(request, service, language, await sessions.current(request, service))


SignedIn = Annotated[MemberVisit, Depends(_member_visit)]


def by(*roles: Role) -> Any:
    """The dependency of pages that are for these roles alone."""

    async def allowed(visit: SignedIn) -> MemberVisit:
        demand_role(visit, roles)
        return visit

    return Depends(allowed)


ByChief = Annotated[MemberVisit, by(Role.admin, Role.operator)]
ByStaff = Annotated[MemberVisit, by(*STAFF)]
ByNetwork = Annotated[MemberVisit, by(*NETWORK)]


async def name_of(service: Service, organisation: str, language: Language = "en") -> str:
    """The name of an organisation; its id, as long as the registry does not know it."""
    if organisation == OPERATOR:
        return translated(language, N_("operator of the network"))
    entry = (await service.by_id("organisations", [organisation], {"name": 1})).get(organisation, {})
    return str(entry.get("name", organisation))
