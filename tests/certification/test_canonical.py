"""Canonical forms and signatures: W3C's vectors, the specification's examples, properties, hostile input."""

import json
import random
import re
import time
from collections import Counter
from copy import deepcopy
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.local.processes import ROOT
from services.certification.credentials import contexts, form, jwts, keyforms, keys, picture, status
from services.certification.credentials.baking import as_text, bake_png, bake_svg, unbake_png, unbake_svg
from services.certification.credentials.canonical import Unreadable, canonical
from services.certification.credentials.checks import Surroundings, offline
from services.certification.credentials.contexts import UnknownContext
from services.certification.credentials.examining import examined
from services.certification.credentials.proofs import Unsigned, examine, proofs_of
from services.certification.credentials.proofs import signed as signed_by
from services.certification.credentials.verifying import verify
from shared.settings import Settings
from tests.certification.vc import KEY, NOW, badge, checked, method_of, results, signed

DATA = ROOT.parent / "shared/data"
if not DATA.exists():
    DATA = Path("/work/shared/data") if Path("/work/shared/data").exists() else DATA
VECTORS, EXAMPLES = DATA / "vc-di-eddsa/TestVectors", DATA / "openbadges-spec/ob_v3p0/examples"
needs_data = pytest.mark.skipif(not VECTORS.exists(), reason="the public vectors are not here: ../shared/data")
W3C_EXAMPLES = "https://www.w3.org/ns/credentials/examples/v2"


@pytest.fixture
def w3c(monkeypatch: pytest.MonkeyPatch) -> None:
    """The context of W3C's examples, which defines every term; not in the bundle, as nothing real has it."""
    known = contexts.content
    every = {"@vocab": "https://www.w3.org/ns/credentials/examples#"}
    monkeypatch.setattr(contexts, "content", lambda address: every if address == W3C_EXAMPLES else known(address))


@needs_data
def test_w3c_eddsa_rdfc_2022_step_by_step(w3c: None):
    folder = VECTORS / "eddsa-rdfc-2022"
    document = json.loads((folder / "signedDataInt.json").read_text())
    found, (proven,) = examine(document)
    assert found.quads == (folder / "canonDocDataInt.txt").read_bytes()
    assert proven.data.hex() == (folder / "combinedHashDataInt.txt").read_text().strip()
    secret = json.loads((VECTORS / "keyPair.json").read_text())["privateKeyMultibase"]
    key = Ed25519PrivateKey.from_private_bytes(keyforms.unmultibase(secret)[2:])
    proof = document.pop("proof")
    again = signed_by(document, key, proof["verificationMethod"], proof["created"])
    assert again["proof"] == proof


@needs_data
@pytest.mark.parametrize("name", ["signedProofSet1", "signedProofSet2", "signedProofChain1", "signedProofChain2"])
def test_w3c_sets_and_chains_of_proofs(w3c: None, name: str):
    document = json.loads((VECTORS / f"proof-set-chain/{name}.json").read_text())
    _, found = examine(document)
    for proof, proven in zip(proofs_of(document), found, strict=True):
        key = keyforms.from_multikey(proof["verificationMethod"].partition("#")[2])
        assert keyforms.verifies(key, keyforms.unmultibase(proof["proofValue"]), proven.data)


@needs_data
def test_a_chain_notices_when_the_proof_before_was_changed(w3c: None):
    document = json.loads((VECTORS / "proof-set-chain/signedProofChain1.json").read_text())
    before, *chained = proofs_of(document)
    unchanged = [proven.data for proven in examine(document)[1]]
    changed = document | {"proof": [before | {"created": "2020-01-01T00:00:00Z"}, *chained]}
    now = [proven.data for proven in examine(changed)[1]]
    assert now[0] != unchanged[0]
    assert [is_after for is_after, was in zip(now[1:], unchanged[1:], strict=True) if is_after != was]
    assert any(proven.wrong for proven in examine(document | {"proof": chained})[1])


def specification() -> dict[str, dict[str, Any]]:
    found = {}
    for file in sorted(EXAMPLES.glob("*.html")) if EXAMPLES.exists() else ():
        for number, text in enumerate(re.findall(r"<pre[^>]*>(.*?)</pre>", file.read_text(), re.DOTALL)):
            found[f"{file.stem}{number or ''}"] = json.loads(text)
    return found


@needs_data
@pytest.mark.parametrize("name", specification())
async def test_the_specifications_own_examples_have_the_form_and_verify_once_signed(name: str):
    example = specification()[name]
    assert not list(form.mistakes(example)), list(form.mistakes(example))
    assert not canonical({member: value for member, value in example.items() if member != "proof"}).unsigned
    own = {member: value for member, value in example.items() if member not in ("proof", "credentialStatus")}
    issuer = example["issuer"] if isinstance(example["issuer"], dict) else {"type": ["Profile"]}
    found = await checked(signed(own | {"issuer": issuer | {"id": badge()["issuer"]["id"]}}))
    assert {results(found)[check] for check in ("form", "properties", "proof", "issuer")} == {"valid"}


def test_the_contexts_are_what_the_specifications_print():
    assert {name: sha256((contexts.FOLDER / name).read_bytes()).hexdigest() for name in W3C_SAYS} == W3C_SAYS
    assert {each.name for each in contexts.FOLDER.iterdir()} == {*contexts.FILES.values(), "NOTICE.md"}


W3C_SAYS = {  # Verifiable Credentials Data Model 2.0, appendix B.1; Data Integrity 1.0, section 2.4.2
    "credentials-v2.json": "59955ced6697d61e03f2b2556febe5308ab16842846f5b586d7f1f7adec92734",
    "data-integrity-v2.json": "67f21e6e33a6c14e5ccfd2fc7865f7474fb71a04af7e94136cb399dfac8ae8f4",
    "multikey-v1.json": "ba2c182de2d92f7e47184bcca8fcf0beaee6d3986c527bf664c195bbc7c58597",
}


def _terms(defined: Any) -> list[tuple[str, str]]:
    """Each term of a context and of those within it, with its address."""
    found = []
    for each in defined if isinstance(defined, list) else [defined]:
        for term, meaning in each.items():
            if isinstance(meaning, str) and not term.startswith("@"):
                found.append((term, meaning))
            elif isinstance(meaning, dict):
                found.append((term, str(meaning.get("@id"))))
                found += _terms(meaning.get("@context") or {})
    return found


def test_no_two_terms_of_the_bundle_are_for_the_same_member_of_a_credential():
    """Else a status could be hidden under its other name, and the signature would stay right."""
    decisive = (
        "credentialStatus",
        "issuer",
        "validFrom",
        "validUntil",
        "credentialSubject",
        "proof",
        "statusListIndex",
    )
    named = {term: address for each in contexts.FILES for term, address in _terms(contexts.content(each))}
    for term in decisive:
        assert {other for other, address in named.items() if address == named[term]} == {term}


def test_an_unknown_context_is_named():
    with pytest.raises(UnknownContext, match="unheard"):
        canonical(badge() | {"@context": [*badge()["@context"], "https://unheard.example/v1"]})
    with pytest.raises(UnknownContext, match="written into"):
        canonical(badge() | {"@context": [*badge()["@context"], {"x": "https://a.example/x"}]})


def test_a_property_that_no_context_defines_is_not_signed_over():
    with pytest.raises(Unsigned) as refused:
        signed(badge(honours="summa cum laude"))
    assert "honours" in str(refused.value)
    deep = badge()
    deep["credentialSubject"]["achievement"]["criteria"]["grade"] = "A"
    with pytest.raises(Unsigned):
        signed(deep)


def paths(node: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to each value of a document, but for the contexts."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [p for key, each in items if key != "@context" for p in ((*way, key), *paths(each, (*way, key)))]


SIGNED = signed(badge(validUntil="2099-01-01T00:00:00Z", awardedDate="2026-06-01T00:00:00+03:00", name="é 👩🏽‍🏭 שלום"))
ALL = paths(SIGNED)
WHATS = ("change", "remove", "add", "double")
VALUES = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=5), st.sampled_from(([], {}, "Z")))


@settings(max_examples=150)
@given(st.sampled_from(ALL), st.sampled_from(WHATS), VALUES, st.text("ab_:@", min_size=1, max_size=6))
async def test_any_changed_added_or_removed_member_is_noticed_or_says_nothing(
    way: tuple[Any, ...], what: str, value: Any, name: str
):
    document = deepcopy(SIGNED)
    at: Any = document
    for step in way[:-1]:
        at = at[step]
    before = deepcopy(at[way[-1]])
    if what == "remove":
        del at[way[-1]]
    elif what == "change":
        at[way[-1]] = value
    elif what == "double":
        at[way[-1]] = [before, before] if not isinstance(before, list) else [*before, *before]
    elif isinstance(at, dict):
        at[name] = value
    else:
        at.append(value)
    if (await checked(document)).result == "valid":
        assert _said(document) == _said(SIGNED), document


def _said(document: dict[str, Any]) -> Any:
    """What a document says: null, empty lists, whether one is a list, order and repetition say nothing."""

    def plain(node: Any) -> Any:
        if isinstance(node, dict):
            found = {key: plain(each) for key, each in node.items()}
            return {key: each for key, each in found.items() if each not in (None, [])}
        if isinstance(node, list):
            kept = {json.dumps(plain(each), sort_keys=True): plain(each) for each in node if each is not None}
            return next(iter(kept.values())) if len(kept) == 1 else [kept[key] for key in sorted(kept)]
        return node

    return plain(document)


@given(st.randoms(use_true_random=False))
@settings(max_examples=20)
async def test_the_order_of_members_says_nothing(shuffling: random.Random):
    def shuffled(node: Any) -> Any:
        if isinstance(node, dict):
            items = list(node.items())
            shuffling.shuffle(items)
            return {key: each if key == "@context" else shuffled(each) for key, each in items}
        return [shuffled(each) for each in node] if isinstance(node, list) else node

    assert (await checked(shuffled(SIGNED))).result == "valid"


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=30)


@settings(max_examples=40)
@given(TEXTS)
async def test_any_text_survives_signing_baking_and_unbaking(text: str):
    document = signed(badge(name=text))
    for content in (as_text(document), jwts.signed(badge(name=text), KEY, method_of(KEY))):
        assert unbake_png(bake_png(picture.png("i", "I", "c"), content)) == content
        in_svg = bake_svg(picture.svg("i", "I", "c"), content).encode()
        if all(c in "\t\n" or (ord(c) >= 32 and c not in "\ufffe\uffff") for c in content):  # XML has no others
            assert unbake_svg(in_svg) == content
        assert (await checked(content.encode())).result == "valid"


def test_a_badge_that_is_baked_again_has_the_new_credential_only():
    once = bake_png(picture.png("i", "I", "c"), "{}")
    assert unbake_png(bake_png(once, '{"a":1}')) == '{"a":1}'


@given(st.integers(0, 300_000), st.sets(st.integers(0, 300_000), max_size=50))
@settings(max_examples=30)
def test_places_on_lists_are_of_one_number_each(number: int, others: set[int]):
    ring = keys.Keyring((), b"k" * 32)
    places = Counter(status.place(each, ring, "uni") for each in {number, *others})
    assert places.most_common(1)[0][1] == 1
    assert all(0 <= index < status.ENTRIES and of_list >= 1 for of_list, index in places)


def test_all_places_of_a_list_are_used_and_tell_no_order():
    ring = keys.Keyring((), b"k" * 32)
    indexes = [status.place(number, ring, "uni")[1] for number in range(3_000)]
    assert len(set(indexes)) == 3_000
    ups = sum(a < b for a, b in pairwise(indexes))
    assert 1_300 < ups < 1_700  # a coin's, 2,999 times


@given(st.sets(st.integers(0, status.ENTRIES - 1), max_size=20))
@settings(max_examples=20)
def test_a_list_says_what_it_was_made_of(indexes: set[int]):
    bits = status.decoded(status.encoded(indexes))
    assert {index for index in range(0, 8 * len(bits)) if bits[index >> 3] and status.bits_at(bits, index)} == indexes


def test_keys_stay_what_they_were_when_others_come(tmp_path: Path):
    own = Settings(keys_dir=tmp_path)
    assert keys.ensure(own)
    assert not keys.ensure(own)
    first = keys.keyring(own)
    old = keys.signing_key(first, "uni", "2026-01-01T00:00:00.000000Z")
    keys.rotate(own)
    second = keys.keyring(own)
    assert keys.signing_key(second, "uni", "2026-01-01T00:00:00.000000Z").id == old.id
    assert keys.signing_key(second, "uni", "2999-01-01T00:00:00.000000Z").id != old.id
    assert keys.signing_key(second, "other", "2026-01-01T00:00:00.000000Z").ed25519 != old.ed25519
    assert (keys.folder(own) / keys.FILE).stat().st_mode & 0o077 == 0
    assert second.keyed("salt", "x") == first.keyed("salt", "x")
    keys.rotate(own, withdraw=True)
    third = keys.signing_key(keys.keyring(own), "uni", "2026-01-01T00:00:00.000000Z")
    assert third.id not in {secret.id for secret in second.secrets}


def poison(size: int) -> dict[str, Any]:
    """A graph whose nodes look the same to each other: canonicalising it takes for ever."""
    names = [f"_:b{number}" for number in range(size)]
    document = badge()
    document["credentialSubject"]["achievement"]["related"] = [
        {"id": name, "type": ["Related"], "alignment": [{"id": other} for other in names if other != name]}
        for name in names
    ]
    return document | {"proof": SIGNED["proof"]}


def with_many_proofs(count: int) -> dict[str, Any]:
    document = badge(name="x" * 400_000)
    proof = signed(document)["proof"]
    return document | {"proof": [proof] * count}


@pytest.mark.parametrize(
    ("document", "wanted"),
    [
        (poison(14), {"unknown", "invalid"}),
        (with_many_proofs(100), {"valid"}),
        (badge(evidence=[{"type": ["Evidence"], "name": "x"}] * 8_000), {"invalid"}),
        (badge() | {"proof": [{"@context": badge()["@context"], "proofValue": "z1"}] * 2_000}, {"invalid"}),
    ],
)
async def test_hostile_documents_are_answered_in_bounded_time(
    document: dict[str, Any], wanted: set[str], monkeypatch: pytest.MonkeyPatch
):
    began = time.process_time()
    verdict = await verify(as_text(document).encode(), Surroundings(offline, examined, now=NOW))
    assert verdict.result in wanted
    assert time.process_time() - began < 20, "what takes long, takes long in a process that is ended"


def test_too_much_nesting_is_unreadable():
    deep: dict[str, Any] = {"type": "Related"}
    for _ in range(70):
        deep = {"related": [deep]}
    with pytest.raises(Unreadable):
        canonical(badge() | {"evidence": deep})
