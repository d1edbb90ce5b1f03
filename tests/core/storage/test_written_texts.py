"""A person's text is told from an agent's."""

import pytest

from rolecall.storage.records import DeliverableRecord, EditRecord
from rolecall.storage.written_texts import WrittenTexts, digest


@pytest.fixture
def texts() -> WrittenTexts:
    """Return the texts of an agent that wrote twice."""
    texts = WrittenTexts()
    for text in ("first", "second"):
        texts.add(DeliverableRecord(agent="a", sha256=digest(text)))
    return texts


def test_a_text_that_the_agent_never_wrote_is_a_persons(texts: WrittenTexts) -> None:
    assert texts.is_edited("a", "by hand")
    assert not texts.is_edited("a", "first")
    assert not texts.is_edited("a", "second\n\n")


def test_a_text_of_an_agent_that_wrote_nothing_yet_is_nobodys_edit(texts: WrittenTexts) -> None:
    assert not texts.is_edited("b", "by hand")


def test_an_edit_is_new_until_it_is_on_record(texts: WrittenTexts) -> None:
    assert texts.is_new_edit("a", "by hand")
    texts.add(EditRecord(agent="a", sha256=digest("by hand")))
    assert not texts.is_new_edit("a", "by hand")
    assert texts.is_new_edit("a", "by another hand")
