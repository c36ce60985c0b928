"""Competency frameworks that are built in. GreenComp: Bianchi, Pisiotis, Cabrera, JRC 2022 (CC BY 4.0)."""

from typing_extensions import TypedDict


class Competency(TypedDict):
    """An item of a framework; `area` groups it."""

    id: str
    area: dict[str, str]
    name: dict[str, str]


class Framework(TypedDict):
    id: str
    name: dict[str, str]
    source: str
    version: str
    licence: str
    competencies: list[Competency]


_AREAS = {
    "1": {"en": "Embodying sustainability values", "ru": "Воплощение ценностей устойчивого развития"},
    "2": {"en": "Embracing complexity in sustainability", "ru": "Принятие сложности в устойчивом развитии"},
    "3": {"en": "Envisioning sustainable futures", "ru": "Видение устойчивого будущего"},
    "4": {"en": "Acting for sustainability", "ru": "Действие ради устойчивого развития"},
}
_NAMES = {
    "1.1": ("Valuing sustainability", "Ценностное отношение к устойчивому развитию"),
    "1.2": ("Supporting fairness", "Поддержка справедливости"),
    "1.3": ("Promoting nature", "Забота о природе"),
    "2.1": ("Systems thinking", "Системное мышление"),
    "2.2": ("Critical thinking", "Критическое мышление"),
    "2.3": ("Problem framing", "Постановка проблемы"),
    "3.1": ("Futures literacy", "Грамотность в вопросах будущего"),
    "3.2": ("Adaptability", "Адаптивность"),
    "3.3": ("Exploratory thinking", "Исследовательское мышление"),
    "4.1": ("Political agency", "Гражданская и политическая активность"),
    "4.2": ("Collective action", "Коллективное действие"),
    "4.3": ("Individual initiative", "Личная инициатива"),
}

FRAMEWORKS: dict[str, Framework] = {
    "greencomp": {
        "id": "greencomp",
        "name": {
            "en": "GreenComp, the European sustainability competence framework",
            "ru": "GreenComp, европейская рамка компетенций устойчивого развития",
        },
        "source": "doi:10.2760/13286",
        "version": "2022",
        "licence": "CC BY 4.0",
        "competencies": [
            {"id": f"greencomp:{item}", "area": _AREAS[item[0]], "name": {"en": en, "ru": ru}}
            for item, (en, ru) in _NAMES.items()
        ],
    }
}
_COMPETENCIES = {c["id"]: c for framework in FRAMEWORKS.values() for c in framework["competencies"]}


def name(competency: str, language: str) -> str:
    """The competency's name, in English where there is none in *language*; its id where none is known."""
    known = _COMPETENCIES.get(competency)
    return known["name"].get(language, known["name"]["en"]) if known else competency
