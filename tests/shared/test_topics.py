"""Topics of single organisations."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events import TOPICS
from shared.kafka import topic_of

ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:~-]{0,40}", fullmatch=True)


@given(ids, ids)
def test_every_organisation_has_a_legal_topic_of_its_own(one: str, other: str):
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,217}", topic_of("ingress", one))
    assert (topic_of("ingress", one) == topic_of("ingress", other)) == (one == other)
    assert topic_of("ingress", one) not in {topic_of("egress", one), *TOPICS}


def test_an_id_that_makes_no_topic_is_refused():
    with pytest.raises(ValueError, match="too long"):
        topic_of("ingress", "a" + ":" * 99)
