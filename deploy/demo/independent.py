"""The demo's credential, checked by a verifier that is not ours, where there is Node."""

import asyncio
import json
import subprocess

from deploy.local import node
from deploy.local.processes import ROOT

from .circle import COMPETENCY, INSTITUTE, LEARNER
from .network import DemoError, Json, Network

PACKAGES = ROOT / "tests" / "node"
WITHIN_S = 60


async def check(network: Network) -> None:
    """Print what the Digital Credentials Consortium's library says of the learner's credential, and its public page.

    Raises:
        DemoError: it does not accept it.
    """
    listed = await network.ask("certification", "GET", f"/certificates?competency={COMPETENCY}", by=INSTITUTE)
    id = next(each["id"] for each in listed["items"] if each["of"] == LEARNER)
    credential = await network.ask("certification", "GET", f"/certificates/{id}/credential.json", by=INSTITUTE)
    did = await network.ask("certification", "GET", f"/issuers/{INSTITUTE}/did.json", by=None)
    try:
        found = await asyncio.to_thread(verified, credential, did)
    except node.NoNode as error:
        print(f"\n  the learner's credential was not checked by a verifier of others: {error}")
    else:
        if found is not True:
            raise DemoError(f"an independent verifier refuses the credential: {found}")
        print("\n  a verifier of others (@digitalcredentials/vc, Node) finds the learner's credential valid")
    print(f"  its public page: {credential['id']}")


def verified(credential: Json, did: Json) -> object:
    """True, or what the verifier says against a credential.

    Raises:
        NoNode: it cannot be asked here.
    """
    asked = json.dumps([{"credential": credential, "documents": {did["id"]: did}}])
    command, folder = ["node", "verify.mjs"], node.installed(PACKAGES)
    try:
        done = subprocess.run(
            command, input=asked, capture_output=True, text=True, cwd=folder, check=True, timeout=WITHIN_S
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise node.NoNode(f"Node did not answer: {error}") from None
    return json.loads(done.stdout)[0]
