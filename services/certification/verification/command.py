"""praktika verify: is the file of a certificate real? Offline, by the rules of the page."""

from pathlib import Path
from typing import Annotated

import typer

from services.certification.credentials.checks import MOST_BYTES, Surroundings, Verdict, offline
from services.certification.credentials.examining import examined
from services.certification.credentials.verifying import verify
from shared.operator import console
from shared.operator.console import Json, Misused, show, show_json
from shared.settings import Settings

ONLINE = "For these use the page /verify, or POST /verify, of a Praktika that reaches the network."


def command(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Credentials of any issuer: JSON, compact JWT, baked PNG or SVG, PDF."),
    ],
    json: Json = False,
    recipient: Annotated[
        str, typer.Option(help="Who is said to have earned it: a pseudonym, an address of mail, a DID.")
    ] = "",
) -> None:
    """Check credentials without asking anybody: what needs the network is unknown.

    Form, properties and dates are checked here, and signatures by keys that the credential itself holds (did:key,
    did:jwk). Other keys and status lists are at the issuer: for these use the page /verify, or POST /verify, of a
    Praktika that reaches the network.

    Ends with 0 if all are valid, with 1 if one is not, or could not be checked wholly.
    """

    async def work(settings: Settings) -> int:
        found = [(file, await verify(_read(file), Surroundings(offline, examined), recipient)) for file in files]
        if json:
            shown = [_as_json(file, verdict) for file, verdict in found]
            show_json(shown[0] if len(shown) == 1 else shown)
        else:
            for file, verdict in found:
                _show(file, verdict)
        return console.OK if all(verdict.result == "valid" for _, verdict in found) else console.DIFFERENT

    console.run(work)


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise Misused(f"{file} cannot be read: {error.strerror}") from None


def _as_json(file: Path, verdict: Verdict) -> dict[str, object]:
    return {"file": str(file), "result": verdict.result, "checks": [check._asdict() for check in verdict.checks]}


def _show(file: Path, verdict: Verdict) -> None:
    show(f"{file}: {verdict.result}")
    for check in verdict.checks:
        show(f"  {check.check}: {check.result}. {check.reason}")
    unknown = dict.fromkeys(check.check for check in verdict.checks if check.result == "unknown")
    if verdict.result == "unknown":
        show(f"  Not decided here: {', '.join(unknown)}. {ONLINE}")
