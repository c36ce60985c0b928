"""Is a credential real, and does it still count? Each check says what it found, in words, for any issuer's badge.

"unknown" is what could not be told: another's server is away, a kind of proof is not known here. It is neither valid
nor invalid. One invalid check makes the whole invalid, else one unknown check makes it unknown.
"""

from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import unquote

from shared.pages.languages import Text

from . import form, hosted, jwts, keyforms, status
from .badge import identity_hash, issuer_of
from .baking import PNG, NotBaked, unbake_png, unbake_svg
from .canonical import Document
from .checks import (
    MOST_BYTES,
    MOST_ENDORSEMENTS,
    SKEW,
    Check,
    Surroundings,
    Unavailable,
    Verdict,
    Wrong,
    concluded,
    dates,
    read_json,
    short,
    told,
    unreadable,
)
from .examining import Examined
from .form import values
from .jwts import Jwt, NoJwt
from .keyforms import PublicKey, UnknownKey
from .proofs import Proven, proofs_of
from .status import NoList


def taken_out(content: bytes) -> str:
    """The credential, JSON or a compact JWT, that a file is or has baked in.

    Raises:
        NotBaked: there is none.
    """
    if content.startswith(PNG):
        return unbake_png(content)
    stripped = content.removeprefix(b"\xef\xbb\xbf").strip()
    if stripped.startswith(b"<"):
        return unbake_svg(content)
    try:
        return stripped.decode()
    except UnicodeDecodeError:
        raise NotBaked("it is no text in UTF-8, no PNG and no SVG") from None


async def verify(content: bytes, around: Surroundings, recipient: str = "") -> Verdict:
    """Check a credential as JSON, as a compact JWT, or baked into a PNG or SVG.

    Args:
        recipient: who is said to have earned it: a pseudonym, an address of mail, a DID.
    """
    if len(content) > MOST_BYTES:
        return unreadable(f"it has more than {MOST_BYTES} bytes")
    try:
        text = taken_out(content)
        if not text.startswith("{"):
            return await _Verification(around, recipient).of_jwt(jwts.parsed(text, read_json))
        document = read_json(text)
    except (NotBaked, NoJwt) as error:
        return unreadable(str(error))
    except (ValueError, RecursionError) as error:
        return unreadable(f"it is no JSON: {error}"[:300])
    if "https://w3id.org/openbadges/v2" in values(document.get("@context")):
        return await hosted.verify(document, around, recipient)
    return await _Verification(around, recipient).of_document(document)


class Key(NamedTuple):
    """A public key, and whose it is.

    Attributes:
        controller: the DID or address that the key speaks for: one that was fetched, never one that a document claims;
            empty: nobody says so.
        method: the verification method.
    """

    key: PublicKey
    controller: str
    method: dict[str, Any]


class _Verification:
    """One credential's checks, with what they have in common."""

    def __init__(self, around: Surroundings, recipient: str) -> None:
        self.around, self.recipient = around, recipient

    async def of_document(self, document: Document) -> Verdict:
        endorsements = _endorsements(document)[:MOST_ENDORSEMENTS]
        found, *of_endorsements = await self.around.examine([document, *endorsements])
        checks = [_form(document), _properties(found)]
        proofs, signers = await self._proofs(document, found)
        checks += proofs
        checks.append(await self._issuer(document, signers))
        checks += await self._common(document)
        checks += [await self._endorsement(each, of) for each, of in zip(endorsements, of_endorsements, strict=True)]
        checks += await self._more_endorsements(document)
        return concluded(checks, document)

    async def of_jwt(self, jwt: Jwt) -> Verdict:
        document = jwt.credential
        proof, signer = await self._jwt_proof(jwt)
        signed = Check("properties", "valid", Text("The signature covers all that it says."))
        window = dates(_moment(jwt, "nbf"), _moment(jwt, "exp"), self.around.now)
        if proof.result == "valid" and window.result != "valid":
            proof = Check("proof", window.result, window.reason)
        checks = [_form(document), signed, proof, await self._issuer(document, [signer] if signer else [])]
        checks += [*await self._common(document), *await self._more_endorsements(document)]
        return concluded(checks, document)

    async def _common(self, document: Document) -> list[Check]:
        checks = [*await self._status(document), _dates(document, self.around.now)]
        if self.recipient:
            checks.append(_recipient(document, self.recipient))
        if self.around.known:
            checks.append(await self._network(document))
        return checks

    # proofs

    async def _proofs(self, document: Document, found: Examined) -> tuple[list[Check], list[str]]:
        """The check of each proof, and whom the keys of the valid ones speak for."""
        given = proofs_of(document)
        if not given:
            return [Check("proof", "invalid", Text("It has no proof: anybody could have written it."))], []
        if found.trouble:
            return [Check("proof", "invalid" if found.wrong else "unknown", told(found.trouble))], []
        checks, signers = [], []
        for proof, proven in zip(given, found.proofs, strict=True):
            check, signer = await self._proof(proof, proven)
            checks.append(check)
            signers += [signer] if check.result == "valid" and signer else []
        return checks, signers

    async def _proof(self, proof: Any, proven: Proven) -> tuple[Check, str | None]:
        if proven.trouble:
            return Check("proof", "invalid" if proven.wrong else "unknown", told(proven.trouble)), None
        try:
            _demand_purpose(proof, self.around.now)
            found = await self._key(proof.get("verificationMethod"), proof.get("created"))
            signature = keyforms.unmultibase(proof["proofValue"])
        except Wrong as wrong:
            return Check("proof", "invalid", wrong.why), None
        except Unavailable as away:
            return Check("proof", "unknown", away.why), None
        except ValueError:
            return Check("proof", "invalid", Text("The signature is no multibase text.")), None
        return self._judged("proof", found, signature, proven.data), found.controller

    async def _jwt_proof(self, jwt: Jwt) -> tuple[Check, str | None]:
        if field_ := jwts.disagreement(jwt):
            why = Text("The JWT says otherwise than the credential in it: {field}", {"field": field_})
            return Check("proof", "invalid", why), None
        algorithm = jwt.header.get("alg")
        if algorithm not in jwts.ALGORITHMS:
            is_none = str(algorithm).lower() == "none"
            why = Text("It is signed by {algorithm}, which is not known here.", {"algorithm": short(algorithm)})
            return Check("proof", "invalid" if is_none else "unknown", why), None
        try:
            found = await self._jwt_key(jwt)
        except Wrong as wrong:
            return Check("proof", "invalid", wrong.why), None
        except Unavailable as away:
            return Check("proof", "unknown", away.why), None
        if not jwts.fits(algorithm, found.key):
            return Check("proof", "invalid", Text("The key is of another kind than the header says.")), None
        check = self._judged("proof", found, jwt.signature, jwt.signed)
        return check, found.controller if check.result == "valid" else None

    @staticmethod
    def _judged(check: str, found: Key, signature: bytes, data: bytes) -> Check:
        if keyforms.verifies(found.key, signature, data):
            whose = short(found.method.get("id") or found.controller)
            return Check(check, "valid", Text("The signature is right, by the key {key}.", {"key": whose}))
        return Check(
            check, "invalid", Text("The signature is not right: something was changed, or another key was used.")
        )

    # keys

    async def _jwt_key(self, jwt: Jwt) -> Key:
        kid, issuer = jwt.header.get("kid"), _issuer_id(jwt.credential)
        if isinstance(kid, str) and kid:
            method = f"{issuer.partition('#')[0]}#{kid.lstrip('#')}" if ":" not in kid else kid
            return await self._key(method, None)
        if "jwk" in jwt.header:
            try:
                key = keyforms.from_jwk(jwt.header["jwk"])
            except UnknownKey as error:
                raise Wrong(told(str(error))) from None
            return Key(key, "", {})
        if issuer.startswith(("did:key:", "did:jwk:")):
            return await self._key(_only_method(issuer), None)
        raise Wrong(Text("The JWT does not say with which key it is signed."))

    async def _key(self, method: Any, at: Any) -> Key:
        """The key of a verification method, as its controller publishes it.

        Args:
            at: when it signed; None: now.
        """
        if not isinstance(method, str):
            raise Wrong(Text("The proof does not say with which key it is made."))
        address, _, fragment = method.partition("#")
        found = _method(await self._controller_document(address), method, fragment)
        controller = found.get("controller") or address
        if controller != address:
            await self._demand_listed(method, controller)
        try:
            key = keyforms.key_of(found)
        except UnknownKey as error:
            raise Unavailable(told(str(error))) from None
        _demand_in_force(found, at, self.around.now)
        return Key(key, controller, {**found, "id": method})

    async def _demand_listed(self, method: str, controller: Any) -> None:
        """A key that is elsewhere speaks for a controller only if the controller's own document says so, too."""
        if not isinstance(controller, str):
            raise Wrong(Text("The key {key} is somebody else's.", {"key": short(method)}))
        document = await self._controller_document(controller)
        if method not in values(document.get("assertionMethod")):
            raise Wrong(Text("The key {key} is somebody else's.", {"key": short(method)}))

    async def _controller_document(self, controller: str) -> dict[str, Any]:
        try:
            if controller.startswith(("did:key:", "did:jwk:")):
                return keyforms.did_document(controller)
        except UnknownKey as error:
            raise Wrong(told(str(error))) from None
        if controller.startswith("did:web:"):
            address = did_web_address(controller)
        elif controller.startswith("did:"):
            method = short(controller.split(":")[1])
            raise Unavailable(Text("DIDs of the method {method} are not known here.", {"method": method}))
        elif controller.startswith(("https://", "http://")):
            address = controller
        else:
            raise Wrong(Text("{address} is no address of a key.", {"address": short(controller)}))
        document = await self._json(address)
        is_bare_jwk = "kty" in document and "id" not in document  # which has no member for its address
        if document.get("id") != controller and not is_bare_jwk:
            raise Wrong(Text("What is at {address} is about another issuer.", {"address": short(address)}))
        return document

    async def _json(self, address: str) -> dict[str, Any]:
        try:
            found = read_json(await self.around.get(address))
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Unavailable(Text("What is at {address} is no JSON object.", {"address": short(address)}))
        return found

    # who

    async def _issuer(self, document: Document, signers: list[str]) -> Check:
        issuer = _issuer_id(document)
        if not issuer:
            return Check("issuer", "invalid", Text("It does not say who issued it."))
        about = {"issuer": short(issuer)}
        if issuer in signers:
            return Check("issuer", "valid", Text("It is signed by its issuer, {issuer}.", about))
        if signers and issuer.startswith("did:"):
            about["signer"] = short(signers[0])
            return Check("issuer", "invalid", Text("It says that {issuer} issued it, and {signer} signed it.", about))
        if not signers:
            return Check("issuer", "unknown", Text("No valid proof says that {issuer} issued it.", about))
        return Check("issuer", "unknown", Text("Nothing says that the key is that of {issuer}.", about))

    async def _network(self, document: Document) -> Check:
        issuer = _issuer_id(document)
        own = issuer_of(issuer, self.around.public) if self.around.public else None
        name = await self.around.known(own) if own and self.around.known else None
        if name:
            return Check(
                "network", "valid", Text("The issuer is {name}, an organisation of this network.", {"name": name})
            )
        why = Text("The issuer is none of this network's: whether it is who it says, you have to judge.")
        return Check("network", "unknown", why)

    # status

    async def _status(self, document: Document) -> list[Check]:
        entries = values(document.get("credentialStatus"))
        if not entries:
            return [Check("status", "valid", Text("Its issuer has said of no list on which it could be revoked."))]
        return [await self._one_status(entry, document) for entry in entries[:10]]

    async def _one_status(self, entry: Any, document: Document) -> Check:
        if not isinstance(entry, dict):
            return Check("status", "invalid", Text("Its status is no object."))
        try:
            if "1EdTechRevocationList" in values(entry.get("type")):
                return await self._on_revocation_list(entry, document)
            return await self._on_bitstring(entry, document)
        except NoList as error:
            return Check("status", "unknown", Text("The status list cannot be used: {why}", {"why": str(error)}))
        except Wrong as wrong:
            return Check("status", "invalid", wrong.why)
        except Unavailable as away:
            return Check("status", "unknown", away.why)

    async def _on_bitstring(self, entry: dict[str, Any], document: Document) -> Check:
        kinds, purpose = values(entry.get("type")), entry.get("statusPurpose")
        if not {"BitstringStatusListEntry", "StatusList2021Entry"} & {*map(str, kinds)}:
            raise Unavailable(Text("Its status is of a kind that is not known here: {kind}", {"kind": short(kinds)}))
        index, address = status.index_of(entry.get("statusListIndex")), entry.get("statusListCredential")
        if not isinstance(address, str):
            raise Wrong(Text("Its status names no list."))
        of_list = await self._list(address, document)
        subject = of_list.get("credentialSubject")
        if not isinstance(subject, dict) or purpose not in values(subject.get("statusPurpose")):
            raise Unavailable(Text("The status list is for another purpose."))
        size = entry.get("statusSize", 1)
        if not isinstance(size, int) or not 1 <= size <= 8:
            raise NoList("its statusSize is none")
        is_set = status.bits_at(status.decoded(subject.get("encodedList")), index, size)
        if not is_set:
            return Check("status", "valid", Text("It has not been revoked."))
        if purpose == "revocation":
            return Check("status", "invalid", Text("Its issuer has revoked it."))
        if purpose == "suspension":
            return Check("status", "invalid", Text("Its issuer has suspended it for now."))
        return Check(
            "status", "valid", Text("Its issuer has something to say of it: {purpose}", {"purpose": short(purpose)})
        )

    async def _list(self, address: str, document: Document) -> Document:
        """A status list that is signed by who issued the credential."""
        raw = await self.around.get(address)
        text = raw.decode(errors="replace").strip()
        try:
            if text.startswith("{"):
                of_list = read_json(text)
                (found,) = await self.around.examine([of_list])
                checks, signers = await self._proofs(of_list, found)
                unsigned = found.unsigned
            else:
                jwt = jwts.parsed(text, read_json)
                of_list, unsigned = jwt.credential, []
                check, signer = await self._jwt_proof(jwt)
                checks, signers = [check], [signer] if signer else []
        except (ValueError, NoJwt):
            raise Unavailable(Text("What is at {address} is no status list.", {"address": short(address)})) from None
        if unsigned or not signers:
            why = checks[0].reason if checks[0].result != "valid" else Text("Not all of it is signed.")
            raise Unavailable(Text("The status list cannot be believed: {why}", {"why": str(why)}))
        if not _issuer_id(of_list) or _issuer_id(of_list) not in signers or _issuer_id(of_list) != _issuer_id(document):
            raise Unavailable(Text("The status list is not its issuer's."))
        now = _dates(of_list, self.around.now)
        if now.result != "valid":
            raise Unavailable(Text("The status list cannot be believed: {why}", {"why": str(now.reason)}))
        return of_list  # type: ignore[no-any-return]

    async def _on_revocation_list(self, entry: dict[str, Any], document: Document) -> Check:
        """1EdTech's Revocation List: ids of revoked credentials, at an address of the issuer's."""
        address = entry.get("id")
        if not isinstance(address, str):
            raise Wrong(Text("Its status names no list."))
        found = await self._json(address)
        if found.get("issuer") != _issuer_id(document):
            raise Unavailable(Text("The status list is not its issuer's."))
        for each in values(found.get("revokedCredential")):
            if isinstance(each, dict) and each.get("id") == document.get("id") and each.get("revoked", True):
                return Check("status", "invalid", Text("Its issuer has revoked it."))
        return Check("status", "valid", Text("It has not been revoked."))

    # endorsements

    async def _endorsement(self, endorsement: Document, found: Examined) -> Check:
        checks, signers = await self._proofs(endorsement, found)
        checks += [_form(endorsement), _properties(found), await self._issuer(endorsement, signers)]
        checks += [*await self._status(endorsement), _dates(endorsement, self.around.now)]
        return _of_endorsement(endorsement, checks)

    async def _more_endorsements(self, document: Document) -> list[Check]:
        """Endorsements that are JWTs."""
        checks = []
        for text in _endorsement_jwts(document)[:MOST_ENDORSEMENTS]:
            try:
                jwt = jwts.parsed(text, read_json)
            except NoJwt as error:
                checks.append(Check("endorsement", "invalid", told(str(error))))
                continue
            proof, signer = await self._jwt_proof(jwt)
            of = [proof, _form(jwt.credential), await self._issuer(jwt.credential, [signer] if signer else [])]
            of += [*await self._status(jwt.credential), _dates(jwt.credential, self.around.now)]
            checks.append(_of_endorsement(jwt.credential, of))
        return checks


def _of_endorsement(endorsement: Document, checks: list[Check]) -> Check:
    result = concluded(checks, None).result
    if result == "valid":
        about = {"issuer": short(_name_of(endorsement))}
        return Check("endorsement", result, Text("It is endorsed by {issuer}.", about))
    return Check("endorsement", result, next(each.reason for each in checks if each.result == result))


def _endorsed(document: Document) -> list[dict[str, Any]]:
    """Whatever of a credential may be endorsed: itself, the achievement, the issuer."""
    subject = document.get("credentialSubject")
    achievement = subject.get("achievement") if isinstance(subject, dict) else None
    return [each for each in (document, achievement, document.get("issuer")) if isinstance(each, dict)]


def _endorsements(document: Document) -> list[Document]:
    found = [each for part in _endorsed(document) for each in values(part.get("endorsement"))]
    return [each for each in found if isinstance(each, dict)]


def _endorsement_jwts(document: Document) -> list[str]:
    found = [each for part in _endorsed(document) for each in values(part.get("endorsementJwt"))]
    return [each for each in found if isinstance(each, str)]


def _form(document: Document) -> Check:
    found = list(form.mistakes(document))
    if not found:
        return Check("form", "valid", Text("It has the form of an Open Badges 3.0 credential."))
    what = "; ".join(found[:10])[:600]
    return Check("form", "invalid", Text("It does not have the form of Open Badges 3.0: {what}", {"what": what}))


def _properties(found: Examined) -> Check:
    if found.trouble:
        return Check("properties", "invalid" if found.wrong else "unknown", told(found.trouble))
    if found.unsigned:
        what = "; ".join(found.unsigned[:10])[:600]
        return Check("properties", "invalid", Text("It says what its signature does not cover: {what}", {"what": what}))
    return Check("properties", "valid", Text("The signature covers all that it says."))


def _dates(document: Document, now: datetime) -> Check:
    begin = document.get("validFrom", document.get("issuanceDate"))
    return dates(begin, document.get("validUntil", document.get("expirationDate")), now)


def _recipient(document: Document, said: str) -> Check:
    """Is it of who says so? Hashed with the salt, if there is one."""
    subject = document.get("credentialSubject")
    subject = subject if isinstance(subject, dict) else {}
    for each in values(subject.get("identifier")):
        if not isinstance(each, dict):
            continue
        known = str(each.get("identityHash"))
        if known == said or (each.get("hashed") is True and known == identity_hash(said, str(each.get("salt", "")))):
            return Check("recipient", "valid", Text("It is of who you said."))
    if subject.get("id") == said:
        return Check("recipient", "valid", Text("It is of who you said."))
    return Check("recipient", "invalid", Text("It is of somebody else than you said."))


def _demand_purpose(proof: dict[str, Any], now: datetime) -> None:
    if proof.get("proofPurpose") != "assertionMethod":
        raise Wrong(Text("The proof is for another purpose than to assert something."))
    try:
        created = proof.get("created")
        if created is not None and form.moment(created) > now + SKEW:
            raise Wrong(Text("The proof is of a moment that is to come."))
        if "expires" in proof and form.moment(proof["expires"]) < now:
            raise Wrong(Text("The proof has expired."))
    except ValueError:
        raise Wrong(Text("Its dates cannot be read.")) from None


def _method(document: dict[str, Any], id: str, fragment: str) -> dict[str, Any]:
    """The verification method with this id; the document, which has been found to be its own, may be the key itself."""
    if not fragment and ("publicKeyMultibase" in document or "publicKeyJwk" in document or "kty" in document):
        return {"publicKeyJwk": document} if "kty" in document else document
    methods = [each for each in values(document.get("verificationMethod")) if isinstance(each, dict)]
    asserts = values(document.get("assertionMethod"))
    methods += [each for each in asserts if isinstance(each, dict)]
    ids = (id, f"#{fragment}")
    found = next((each for each in methods if each.get("id") in ids), None)
    if found is None:
        raise Wrong(Text("The issuer does not have the key {key} (any more).", {"key": short(id)}))
    if not any((each.get("id") if isinstance(each, dict) else each) in ids for each in asserts):
        raise Wrong(Text("The key {key} is not (any more) one to assert something with.", {"key": short(id)}))
    return found


def _demand_in_force(method: dict[str, Any], at: Any, now: datetime) -> None:
    try:
        moment = form.moment(at) if at is not None else now
        for name in ("revoked", "expires"):
            if method.get(name) is not None and form.moment(method[name]) <= moment:
                raise Wrong(Text("The key was no longer in force when it signed."))
    except ValueError:
        raise Wrong(Text("Its dates cannot be read.")) from None


def _moment(jwt: Jwt, claim: str) -> str | None:
    """A claim in seconds, as credentials write moments."""
    seconds = jwt.claims.get(claim)
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (TypeError, ValueError, OverflowError, OSError):
        return "none"


def did_web_address(did: str) -> str:
    """Where the document of a did:web is.

    Raises:
        Wrong: it is none.
    """
    host, *path = [unquote(part) for part in did.removeprefix("did:web:").split(":")]
    if not host or any("/" in part or part in ("", ".", "..") for part in path) or "/" in host:
        raise Wrong(Text("{did} is no did:web.", {"did": short(did)}))
    where = "/".join(path) if path else ".well-known"
    return f"https://{host}/{where}/did.json"


def _only_method(did: str) -> str:
    return str(keyforms.did_document(did)["assertionMethod"][0])


def _issuer_id(document: Document) -> str:
    issuer = document.get("issuer")
    found = issuer.get("id") if isinstance(issuer, dict) else issuer
    return found if isinstance(found, str) else ""


def _name_of(document: Document) -> str:
    issuer = document.get("issuer")
    name = issuer.get("name") if isinstance(issuer, dict) else None
    return name if isinstance(name, str) else _issuer_id(document)
