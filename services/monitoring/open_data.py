"""The open data catalogue: every public indicator as a data set of DCAT-AP 3, in JSON-LD."""

from typing import Any
from urllib.parse import quote

from fastapi.responses import JSONResponse

from shared.http.routing import Router
from shared.http.service import Running
from shared.http.spreadsheets import XLSX
from shared.pages.languages import LANGUAGES, Language, Text, translated

from .api import Kind
from .indicators import INDICATORS, Indicator, Scope
from .tables import WORDS

router = Router(tags=["open data"])
JSON_LD = "application/ld+json"
MEDIA_TYPES: dict[Kind, str] = {"json": "application/json", "csv": "text/csv", "xlsx": XLSX}
FILE_TYPES = "http://publications.europa.eu/resource/authority/file-type/"
LANGUAGE_CODES: dict[Language, str] = {"en": "ENG", "ru": "RUS"}
COMPARED: tuple[Scope, ...] = ("region", "institution", "competency", "enterprise")  # the first that is offered
CONTEXT = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
TITLE = Text("Praktika: practice, employment and sustainability")
ABOUT = Text(
    "Indicators of practice at the workplace, employment of graduates, certificates and sustainability, from the "
    "reports of institutions and enterprises. Small groups are hidden."
)


@router.get("/catalogue", responses={200: {"content": {JSON_LD: {"schema": {"type": "object"}}}}})
async def open_data_catalogue(service: Running) -> JSONResponse:
    """The public indicators as a catalogue of open data (DCAT-AP 3, JSON-LD), with where each is as CSV, XLSX and JSON.

    Who publishes it, and under which licence, are settings (PRAKTIKA_OPEN_DATA_PUBLISHER, PRAKTIKA_OPEN_DATA_LICENCE).
    """
    settings = service.settings
    base = settings.public("monitoring")
    publisher = {"@type": "foaf:Agent", "@id": f"{base}/catalogue#publisher", "foaf:name": settings.open_data_publisher}
    licence = {"dct:license": {"@id": settings.open_data_licence}} if settings.open_data_licence else {}
    common = {"dct:publisher": {"@id": publisher["@id"]}, "dct:language": _languages()}
    content = {
        "@context": CONTEXT,
        "@id": f"{base}/catalogue",
        "@type": "dcat:Catalog",
        "dct:title": _in_all(TITLE),
        "dct:description": _in_all(ABOUT),
        "foaf:homepage": {"@id": f"{base}/"},
        **common,
        **licence,
        "dct:publisher": publisher,
        "dcat:service": _service(base) | {"dct:publisher": {"@id": publisher["@id"]}} | licence,
        "dcat:dataset": [_dataset(base, each) | common | _distributed(base, each, licence) for each in _public()],
    }
    return JSONResponse(content, headers={"Cache-Control": "no-cache"}, media_type=JSON_LD)


def _public() -> list[Indicator]:
    return [indicator for indicator in INDICATORS.values() if "network" in indicator.scopes]


def _in_all(text: Text) -> list[dict[str, str]]:
    return [{"@value": said, "@language": language} for language, said in text.in_all().items()]


def _languages() -> list[dict[str, str]]:
    authority = "http://publications.europa.eu/resource/authority/language/"
    return [{"@id": authority + LANGUAGE_CODES[language]} for language in LANGUAGES]


def _service(base: str) -> dict[str, Any]:
    return {
        "@id": f"{base}/catalogue#api",
        "@type": "dcat:DataService",
        "dct:title": _in_all(Text("All figures over HTTP")),
        "dcat:endpointURL": {"@id": base},
        "dcat:endpointDescription": {"@id": f"{base}/openapi.json"},
    }


def _dataset(base: str, of: Indicator) -> dict[str, Any]:
    about = [
        {
            "@value": f"{of.formula.into(each)} ({of.window.into(each)}; {translated(each, of.source)})",
            "@language": each,
        }
        for each in LANGUAGES
    ]
    return {
        "@id": f"{base}/figures/{of.id}",
        "@type": "dcat:Dataset",
        "dct:identifier": of.id,
        "dct:title": _in_all(of.title),
        "dct:description": about,
        "dcat:keyword": _in_all(of.group),
        "dcat:theme": {"@id": "http://publications.europa.eu/resource/authority/data-theme/EDUC"},
        "dct:accrualPeriodicity": {"@id": "http://publications.europa.eu/resource/authority/frequency/CONT"},
        "dcat:landingPage": {"@id": f"{base}/figures/{of.id}"},
    }


def _distributed(base: str, of: Indicator, licence: dict[str, Any]) -> dict[str, Any]:
    """Where an indicator is to be had: the network month by month, and one kind of scope side by side."""
    whole = Text("The whole network, month by month")
    ways = [(whole, f"{base}/indicators/{quote(of.id)}/series?")]
    for scope in [each for each in COMPARED if each in of.scopes][:1]:
        beside = Text("Side by side: {scope}", {"scope": Text(WORDS[scope])})
        ways.append((beside, f"{base}/indicators/{quote(of.id)}/comparison?scope={scope}&"))
    found = [_distribution(f"{way}format={kind}", title, kind) | licence for title, way in ways for kind in MEDIA_TYPES]
    return {"dcat:distribution": found}


def _distribution(address: str, title: Text, kind: Kind) -> dict[str, Any]:
    return {
        "@id": address,
        "@type": "dcat:Distribution",
        "dct:title": _in_all(title),
        "dcat:accessURL": {"@id": address},
        "dcat:downloadURL": {"@id": address},
        "dcat:mediaType": {"@id": f"https://www.iana.org/assignments/media-types/{MEDIA_TYPES[kind]}"},
        "dct:format": {"@id": FILE_TYPES + kind.upper()},
    }
