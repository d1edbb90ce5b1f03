"""Which deliverables agents wrote, so that what a person wrote instead is noticed."""

import hashlib

from .records import DeliverableRecord, EditRecord, Record


class WrittenTexts:
    """Collects the hashes of texts from records."""

    def __init__(self) -> None:
        self._written: dict[str, set[str]] = {}
        self._edits: set[tuple[str, str]] = set()

    def add(self, record: Record) -> None:
        match record:
            case DeliverableRecord():
                self._written.setdefault(record.agent, set()).add(record.sha256)
            case EditRecord():
                self._edits.add((record.agent, record.sha256))
            case _:
                pass

    def is_written(self, agent: str, text: str) -> bool:
        """Check whether an agent ever wrote this text."""
        return digest(text) in self._written.get(agent, ())

    def is_edited(self, agent: str, text: str) -> bool:
        """Check whether a text is a person's, in place of one that the agent wrote."""
        return agent in self._written and not self.is_written(agent, text)

    def is_new_edit(self, agent: str, text: str) -> bool:
        """Check whether a text is an edit that no run has noticed yet."""
        return self.is_edited(agent, text) and (agent, digest(text)) not in self._edits

    def was_edit(self, agent: str, text: str) -> bool:
        """Check whether a text was a person's, also where it counts as the agent's since."""
        return (agent, digest(text)) in self._edits


def digest(text: str) -> str:
    """Hash a text without the blanks around it, which an editor may add."""
    return hashlib.sha256(text.strip().encode("utf-8", "surrogatepass")).hexdigest()
