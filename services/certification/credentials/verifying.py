"""Is a credential real, and does it still count? Each check says what it found, in words, for any issuer's badge.

"unknown" is what could not be told: another's server is away, a kind of proof is not known here. It is neither valid
nor invalid. One invalid check makes the whole invalid, else one unknown check makes it unknown.
"""

import asyncio
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import unquote

from shared.pages.languages import Text

from . import attached, form, hosted, jwts, keyforms, status
from .baking import PNG, NotBaked, unbake_png, unbake_svg
from .canonical import Document
from .checks import (
    MOST_BYTES,
    MOST_CONTAINED,
    MOST_ENDORSEMENTS,
    MOST_PROOFS,
    MOST_STATUSES,
    SKEW,
    Check,
    Surroundings,
    TooMuch,
    Unavailable,
    Verdict,
    Wrong,
    as_object,
    concluded,
    dates,
    identity_hashes,
    is_name,
    listed,
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
        raise NotBaked(Text("it is no text in UTF-8, no PNG, no SVG and no PDF")) from None


async def verify(content: bytes, around: Surroundings, recipient: str = "") -> Verdict:
    """Check a credential as JSON, as a compact JWT, baked into a PNG or SVG, or attached to a PDF.

    Args:
        recipient: who is said to have earned it: a pseudonym, an address of mail, a DID.
    """
    try:
        given = _read(await _detached(content))
    except (NotBaked, NoJwt, TooMuch) as error:
        return unreadable(error.args[0])
    except (ValueError, RecursionError) as error:
        return unreadable(Text("it is no JSON: {why}", {"why": str(error)[:300]}))
    if isinstance(given, Jwt):
        return await _Verification(around, recipient).of_jwt(given)
    if "https://w3id.org/openbadges/v2" in values(given.get("@context")):
        return await hosted.verify(given, around, recipient)
    return await _Verification(around, recipient).of_document(given)


async def _detached(content: bytes) -> bytes:
    """What is attached to a PDF; of any other file the file itself, within bounds."""
    if len(content) > MOST_BYTES:
        raise TooMuch(Text("it has more than {most} bytes", {"most": MOST_BYTES}))
    return await attached.credential_in(content) if content.startswith(attached.PDF) else content


def _read(content: bytes) -> Document | Jwt:
    """The credential in a file."""
    text = taken_out(content)
    if not text.startswith("{"):
        return jwts.parsed(text, read_json)
    document: Document = read_json(text)
    if len(proofs_of(document)) > MOST_PROOFS:
        raise TooMuch(Text("it has more than {most} proofs", {"most": MOST_PROOFS}))
    return document


_LISTS = {"BitstringStatusListCredential", "StatusList2021Credential"}
_NOT_WITHIN = {"@context", "proof", "endorsement", "endorsementJwt"}


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

    async def of_document(self, document: Document, found: Examined | None = None) -> Verdict:
        said = form.plain(document)
        if found is None:
            (found,) = await self.around.examined([document])
        proofs, signers = await self._proofs(document, found)
        checks = [_form(said), _properties(found), *proofs]
        return concluded([*checks, *await self._common(document, said, proofs, signers)], document)

    async def of_jwt(self, jwt: Jwt) -> Verdict:
        said = form.plain(jwt.credential)
        proof, signers = await self._jwt_signed(jwt)
        signed = Check("properties", "valid", Text("Nothing in it is left out of what is signed."))
        checks = [_form(said), signed, proof]
        return concluded([*checks, *await self._common(jwt.credential, said, [proof], signers)], jwt.credential)

    async def _common(self, document: Document, said: Document, proofs: list[Check], signers: list[str]) -> list[Check]:
        """What is the same of a document and of a JWT.

        Args:
            said: the document, plain.
            signers: whom the keys of the valid proofs speak for.
        """
        issuer = _issuer(said, signers)
        is_signed = any(proof.result == "valid" for proof in proofs)
        checks = [issuer, *await self._status(said, is_signed=is_signed), _dates(said, self.around.now)]
        if self.recipient:
            checks.append(_recipient(said, self.recipient))
        if self.around.known:
            checks.append(await self._network(said, issuer))
        if form.is_record(said):
            checks += await self._contained(said, is_signed=is_signed)
        return [*checks, *await self._endorsements(document, is_signed=is_signed)]

    # proofs

    async def _proofs(self, document: Document, found: Examined) -> tuple[list[Check], list[str]]:
        """The check of each proof, and whom the keys of the valid ones speak for."""
        given = proofs_of(document)
        if not given:
            return [Check("proof", "invalid", Text("It has no proof: anybody could have written it."))], []
        if len(given) > MOST_PROOFS:
            return [Check("proof", "unknown", Text("it has more than {most} proofs", {"most": MOST_PROOFS}))], []
        if found.trouble:
            return [Check("proof", "invalid" if found.wrong else "unknown", told(found.trouble))], []
        checks, signers = [], []
        for proof, proven in zip(given, found.proofs, strict=True):
            await asyncio.sleep(0)  # others have their turn
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
            return Check("proof", "unknown", _unchecked(away)), None
        except ValueError:
            return Check("proof", "invalid", Text("The signature is no multibase text.")), None
        return self._judged("proof", found, signature, proven.data), found.controller

    async def _jwt_signed(self, jwt: Jwt) -> tuple[Check, list[str]]:
        """The check of a JWT's signature now, and whom its key speaks for."""
        proof, signer = await self._jwt_proof(jwt)
        window = dates(_moment(jwt, "nbf"), _moment(jwt, "exp"), self.around.now)
        if proof.result == "valid" and window.result != "valid":
            return Check("proof", window.result, window.reason), []
        return proof, [signer] if signer else []

    async def _jwt_proof(self, jwt: Jwt) -> tuple[Check, str | None]:
        if trouble := _jwt_trouble(jwt):
            return trouble, None
        try:
            found = await self._jwt_key(jwt)
        except Wrong as wrong:
            return Check("proof", "invalid", wrong.why), None
        except Unavailable as away:
            return Check("proof", "unknown", _unchecked(away)), None
        if not jwts.fits(jwt.header.get("alg"), found.key):
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
                raise Wrong(told(error.args[0])) from None
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
        found = method_of(await self._controller_document(address), method, fragment)
        controller = found.get("controller") or address
        if controller != address:
            await self._demand_listed(method, controller)
        try:
            key = keyforms.key_of(found)
        except UnknownKey as error:
            raise Unavailable(told(error.args[0])) from None
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
            raise Wrong(told(error.args[0])) from None
        if controller.startswith("did:web:"):
            address = did_web_address(controller)
        elif controller.startswith("did:"):
            method = short(controller.split(":")[1])
            raise Unavailable(Text("DIDs of the method {method} are not known here.", {"method": method}))
        elif controller.startswith(("https://", "http://")):
            address = controller
        else:
            raise Wrong(Text("{address} is no address of a key.", {"address": short(controller)}))
        # A did:web leads to one address of its host only; any other may be a redirect that the host has for all.
        document = await self.around.get_object(address, same_host=not controller.startswith("did:"))
        is_bare_jwk = "kty" in document and "id" not in document  # which has no member for its address
        if document.get("id") != controller and not is_bare_jwk:
            raise Wrong(Text("What is at {address} is about another issuer.", {"address": short(address)}))
        return document

    # who

    async def _network(self, document: Document, issuer: Check) -> Check:
        if issuer.result != "valid":
            why = Text(
                "It is not certain who issued it, so not either whether that is an organisation of this network."
            )
            return Check("network", "unknown", why)
        name = await self.around.known(_issuer_id(document)) if self.around.known else None
        if name:
            return Check(
                "network", "valid", Text("The issuer is {name}, an organisation of this network.", {"name": name})
            )
        why = Text("The issuer is not an organisation of this network: you have to judge whether it is who it says.")
        return Check("network", "unknown", why)

    # status

    async def _status(self, document: Document, *, is_signed: bool) -> list[Check]:
        entries = values(document.get("credentialStatus"))
        if not entries:
            return [Check("status", "valid", Text("It names no status list: its issuer has no means to revoke it."))]
        if not is_signed:
            return [Check("status", "unknown", Text("The status list is looked up only if the signature is right."))]
        checks = [await self._one_status(entry, document) for entry in entries[:MOST_STATUSES]]
        if len(entries) > MOST_STATUSES:
            why = Text("It is on more than {most} lists: the others were not looked up.", {"most": MOST_STATUSES})
            checks.append(Check("status", "unknown", why))
        return checks

    async def _one_status(self, entry: Any, document: Document) -> Check:
        if not isinstance(entry, dict):
            return Check("status", "invalid", Text("Its status is no object."))
        try:
            if "1EdTechRevocationList" in values(entry.get("type")):
                return await self._on_revocation_list(entry, document)
            return await self._on_bitstring(entry, document)
        except NoList as error:
            return Check("status", "unknown", Text("The status list cannot be used: {why}", {"why": error.why}))
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
        if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= 8:
            raise NoList(Text("its statusSize is none"))
        is_set = status.bits_at(status.decoded(subject.get("encodedList")), index, size)
        if not is_set:
            return Check("status", "valid", Text("It has not been revoked."))
        if purpose == "revocation":
            return Check("status", "invalid", Text("Its issuer has revoked it."))
        if purpose == "suspension":
            return Check("status", "invalid", Text("Its issuer has suspended it for now."))
        return Check(
            "status", "valid", Text("Its issuer has left a message about it: {purpose}", {"purpose": short(purpose)})
        )

    async def _list(self, address: str, document: Document) -> Document:
        """A status list, plain, that is signed by who issued the credential."""
        raw = await self.around.get(address)
        text = raw.decode(errors="replace").strip()
        try:
            if text.startswith("{"):
                signed = read_json(text)
                (found,) = await self.around.examined([signed])
                checks, signers = await self._proofs(signed, found)
                unsigned = found.unsigned
            else:
                jwt = jwts.parsed(text, read_json)
                signed, unsigned = jwt.credential, []
                check, signers = await self._jwt_signed(jwt)
                checks = [check]
        except (ValueError, NoJwt):
            raise Unavailable(Text("What is at {address} is no status list.", {"address": short(address)})) from None
        if unsigned or not signers:
            why = checks[0].reason if checks[0].result != "valid" else Text("Not all of it is signed.")
            raise Unavailable(Text("The status list cannot be believed: {why}", {"why": why}))
        of_list: Document = form.plain(signed)
        if not _issuer_id(of_list) or _issuer_id(of_list) not in signers or _issuer_id(of_list) != _issuer_id(document):
            raise Unavailable(Text("The status list is not its issuer's."))
        now = _dates(of_list, self.around.now)
        if now.result != "valid":
            raise Unavailable(Text("The status list cannot be believed: {why}", {"why": now.reason}))
        if of_list.get("id") != address:
            raise NoList(Text("it is another than the one that is named"))
        if not _LISTS & {*map(str, values(of_list.get("type")))}:
            raise NoList(Text("it is no status list by its type"))
        return of_list

    async def _on_revocation_list(self, entry: dict[str, Any], document: Document) -> Check:
        """1EdTech's Revocation List: ids of revoked credentials, at an address of the issuer's."""
        address = entry.get("id")
        if not isinstance(address, str):
            raise Wrong(Text("Its status names no list."))
        found = await self.around.get_object(address)
        if found.get("issuer") != _issuer_id(document):
            raise Unavailable(Text("The status list is not its issuer's."))
        for each in values(found.get("revokedCredential")):
            if isinstance(each, dict) and each.get("id") == document.get("id") and each.get("revoked", True):
                return Check("status", "invalid", Text("Its issuer has revoked it."))
        return Check("status", "valid", Text("It has not been revoked."))

    # records

    async def _contained(self, record: Document, *, is_signed: bool) -> list[Check]:
        """The credentials in a record: each is checked like one by itself."""
        contained = values(as_object(record.get("credentialSubject")).get("verifiableCredential"))
        if not is_signed:
            return [Check("credential", "unknown", Text("It is not looked up for what nobody has signed."))]
        some = contained[:MOST_CONTAINED]
        documents = [each for each in some if isinstance(each, dict)]
        found = iter(await self.around.examined(documents) if documents else [])
        checks = [await self._one_contained(each, next(found) if isinstance(each, dict) else None) for each in some]
        if len(contained) > MOST_CONTAINED:
            why = Text("It has more than {most} credentials in it: the others were not looked at.", {"most": len(some)})
            checks.append(Check("credential", "unknown", why))
        return checks

    async def _one_contained(self, given: Any, found: Examined | None) -> Check:
        try:
            jwt = None if found else jwts.parsed(str(given), read_json)
        except (NoJwt, ValueError) as error:
            return Check("credential", "invalid", told(str(error.args[0])))
        document: Document = given if jwt is None else jwt.credential
        if form.is_record(document):
            return Check("credential", "unknown", Text("It has a record in it, which was not looked at."))
        one = _Verification(self.around, "")
        verdict = await (one.of_document(document, found) if jwt is None else one.of_jwt(jwt))
        about = {"name": short(document.get("name") or document.get("id"))}
        if verdict.result == "valid":
            return Check("credential", "valid", Text("“{name}” is real and valid.", about))
        about["why"] = next(each.reason for each in verdict.checks if each.result == verdict.result)
        return Check("credential", verdict.result, Text("“{name}”: {why}", about))

    # endorsements

    async def _endorsements(self, document: Document, *, is_signed: bool) -> list[Check]:
        embedded, as_jwts = _endorsements_of(document)
        if not (embedded or as_jwts):
            return []
        if not is_signed:
            return [Check("endorsement", "unknown", Text("Endorsements are looked at only if the signature is right."))]
        most = MOST_ENDORSEMENTS
        checks = await self._embedded(embedded[:most])
        checks += [await self._as_jwt(text, of) for text, of in as_jwts[: most - len(checks)]]
        if len(embedded) + len(as_jwts) > most:
            why = Text("It has more than {most} endorsements: the others were not looked at.", {"most": most})
            checks.append(Check("endorsement", "unknown", why))
        return checks

    async def _embedded(self, endorsements: list[tuple[Document, Any]]) -> list[Check]:
        documents = [endorsement for endorsement, _ in endorsements]
        examined = await self.around.examined(documents) if documents else []
        checks = []
        for (endorsement, of), found in zip(endorsements, examined, strict=True):
            proofs, signers = await self._proofs(endorsement, found)
            checks.append(await self._endorsement(form.plain(endorsement), of, [*proofs, _properties(found)], signers))
        return checks

    async def _as_jwt(self, text: str, of: Any) -> Check:
        try:
            jwt = jwts.parsed(text, read_json)
        except NoJwt as error:
            return Check("endorsement", "invalid", told(error.args[0]))
        proof, signers = await self._jwt_signed(jwt)
        return await self._endorsement(form.plain(jwt.credential), of, [proof], signers)

    async def _endorsement(self, endorsement: Document, of: Any, checks: list[Check], signers: list[str]) -> Check:
        """What an endorsement comes to.

        Args:
            of: the id of what carries it.
            checks: of its proofs, and more will be added.
        """
        is_signed = any(check.check == "proof" and check.result == "valid" for check in checks)
        found = [*checks, _form(endorsement), _issuer(endorsement, signers), _dates(endorsement, self.around.now)]
        found += await self._status(endorsement, is_signed=is_signed)
        subject = as_object(endorsement.get("credentialSubject")).get("id")
        if not isinstance(subject, str) or subject != of:
            found.append(Check("form", "invalid", Text("It is an endorsement of something else.")))
        result = concluded(found, None).result
        if result == "valid":
            about = {"issuer": short(_name_of(endorsement))}
            return Check("endorsement", result, Text("It is endorsed by {issuer}.", about))
        return Check("endorsement", result, next(each.reason for each in found if each.result == result))


def _unchecked(away: Unavailable) -> Text:
    return Text("The signature could not be checked, so it may have been changed: {why}", {"why": away.why})


def _endorsements_of(document: Document) -> tuple[list[tuple[Document, Any]], list[tuple[str, Any]]]:
    """The endorsements anywhere in a credential, embedded and as JWTs, each with the id of what carries it."""
    embedded, as_jwts = [], []
    todo: list[Any] = [document]
    while todo:
        part = todo.pop()
        if isinstance(part, list):
            todo += reversed(part)
        elif isinstance(part, dict):
            id = form.plain(part.get("id"))
            embedded += [(each, id) for each in form.flat(part.get("endorsement")) if isinstance(each, dict)]
            as_jwts += [(each, id) for each in form.flat(part.get("endorsementJwt")) if isinstance(each, str)]
            todo += [each for name, each in reversed(part.items()) if name not in _NOT_WITHIN]
    return embedded, as_jwts


def _issuer(document: Document, signers: list[str]) -> Check:
    issuer = _issuer_id(document)
    if not issuer:
        return Check("issuer", "invalid", Text("It does not say who issued it."))
    about = {"issuer": short(issuer)}
    if issuer in signers:
        return Check("issuer", "valid", Text("It is signed by its issuer, {issuer}.", about))
    if signers and issuer.startswith("did:"):
        about["signer"] = short(signers[0])
        return Check("issuer", "invalid", Text("It names {issuer} as its issuer, but {signer} signed it.", about))
    if not signers:
        return Check(
            "issuer",
            "unknown",
            Text("It names {issuer} as its issuer, and no signature that was found to be right shows that.", about),
        )
    return Check(
        "issuer", "unknown", Text("The signature is right, but nothing shows that its key belongs to {issuer}.", about)
    )


def _jwt_trouble(jwt: Jwt) -> Check | None:
    """What of a JWT cannot be right, or is not known here, whatever its key."""
    if field := jwts.disagreement(jwt):
        why = Text("The JWT says otherwise than the credential in it: {field}", {"field": field})
        return Check("proof", "invalid", why)
    if "crit" in jwt.header:  # RFC 7515, section 4.1.11
        return Check("proof", "invalid", Text("Its header demands something that is not known here (crit)."))
    algorithm = jwt.header.get("alg")
    if isinstance(algorithm, str) and algorithm in jwts.ALGORITHMS:
        return None
    why = Text("It is signed by {algorithm}, which is not known here.", {"algorithm": short(algorithm)})
    return Check("proof", "invalid" if str(algorithm).lower() == "none" else "unknown", why)


def _form(document: Document) -> Check:
    found = list(islice(form.mistakes(document), 10))
    about = {"specification": form.specification(document)}
    if not found:
        return Check("form", "valid", Text("It has the form of a credential of {specification}.", about))
    about["what"] = listed(found)
    return Check("form", "invalid", Text("It does not have the form of {specification}: {what}", about))


def _properties(found: Examined) -> Check:
    if found.trouble:
        return Check("properties", "invalid" if found.wrong else "unknown", told(found.trouble))
    if found.unsigned:
        what = listed(found.unsigned[:10])
        return Check("properties", "invalid", Text("It says what its signature does not cover: {what}", {"what": what}))
    return Check("properties", "valid", Text("Nothing in it is left out of what is signed."))


def _dates(document: Document, now: datetime) -> Check:
    begin = document.get("validFrom", document.get("issuanceDate"))
    return dates(begin, document.get("validUntil", document.get("expirationDate")), now)


def _recipient(document: Document, said: str) -> Check:
    """Is it of who says so? Hashed with the salt, if there is one. A name, which holders may add, proves nothing."""
    subject = document.get("credentialSubject")
    subject = subject if isinstance(subject, dict) else {}
    for each in values(subject.get("identifier")):
        if not isinstance(each, dict) or is_name(each):
            continue
        known = str(each.get("identityHash"))
        if known == said or (each.get("hashed") is True and known in identity_hashes(said, each.get("salt"))):
            return Check("recipient", "valid", Text("It was issued to the person that you named."))
    if subject.get("id") == said:
        return Check("recipient", "valid", Text("It was issued to the person that you named."))
    return Check("recipient", "invalid", Text("It was issued to somebody else than the person that you named."))


def _demand_purpose(proof: dict[str, Any], now: datetime) -> None:
    if proof.get("proofPurpose") != "assertionMethod":
        raise Wrong(Text("The proof is for another purpose than to assert something."))
    try:
        created = proof.get("created")
        if created is not None and form.moment(created) > now + SKEW:
            raise Wrong(Text("The proof is dated in the future."))
        if "expires" in proof and form.moment(proof["expires"]) < now:
            raise Wrong(Text("The proof has expired."))
    except ValueError:
        raise Wrong(Text("Its dates cannot be read.")) from None


def method_of(document: dict[str, Any], id: str, fragment: str) -> dict[str, Any]:
    """The verification method with this id; the document, which has been found to be its own, may be the key itself.

    Raises:
        Wrong: it is not there, or not one to assert something with.
    """
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
