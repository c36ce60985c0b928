"""praktika operator: a credential for a person who operates the network."""

from typing import Annotated

import typer

from services.partners.gateway.credentials import issue_to_operator
from shared.operator import console
from shared.operator.console import Json, show_fields, show_json
from shared.settings import Settings


def command(
    name: Annotated[str, typer.Option(metavar="NAME", help="Of the person, as `praktika trail` shall show it.")] = "",
    json: Json = False,
) -> None:
    """Make a further credential of the operator and print it, once: client_id and client_secret.

    It is listed and withdrawn at /organisations/operator/credentials of partners.
    """

    async def work(settings: Settings) -> int:
        made = await issue_to_operator(settings, name)
        if json:
            show_json(made)
        else:
            show_fields(made)
        return console.OK

    console.run(work)
