"""Record what a run's agents are offered to do, what came of it, and what was verified."""

from collections.abc import Callable, Mapping, Sequence

from attrs import evolve

from rolecall import FileChange, NeedsSandbox, RecordedCall, Tool, WorkspaceVerified

from ..files.bodies import is_text, is_unicode
from ..redaction import Redaction
from .values import ActingRecord, ToolDescription


class ToolCallRecorder:
    """Keeps tools, calls and verifications, without the secrets in them; a `ToolRecorder`.

    before: what the cassette holds already. on_offer, on_record: are told what is kept, as it
    is kept.
    """

    def __init__(
        self,
        redaction: Redaction,
        before: ActingRecord,
        on_offer: Callable[[str, Mapping[str, ToolDescription], bool], None],
        on_record: Callable[[RecordedCall | WorkspaceVerified], None],
    ) -> None:
        self._redaction = redaction
        self._before = before
        self._on_offer = on_offer
        self._on_record = on_record
        self._calls: list[RecordedCall] = []
        self._verifications: list[WorkspaceVerified] = []
        self.complaints: list[str] = []

    @property
    def record(self) -> ActingRecord:
        """Return what the cassette is to hold."""
        return self._before.with_later(ActingRecord(self._calls, self._verifications))

    def offered(self, agent: str, tools: Sequence[Tool], has_sandbox: bool) -> None:
        described = {
            tool.name: ToolDescription(
                tool.name,
                self._redaction.text(tool.description),
                self._redaction.value(dict(tool.parameters)),
                tool.read_only,
                isinstance(tool, NeedsSandbox) and tool.needs_sandbox,
            )
            for tool in tools
        }
        self._on_offer(agent, described, has_sandbox)

    def ended(self, call: RecordedCall) -> None:
        masked = self._masked(call)
        if masked.files is None:
            self.complaints.append(
                f"what {call.tool}, called by {call.agent}, changed is not recorded: the files are "
                "too large for a cassette, or have names that are no text"
            )
        self._calls.append(masked)
        self._on_record(masked)

    def verified(self, verified: WorkspaceVerified) -> None:
        """Hear what checks came to."""
        mask = self._redaction.text
        checks = tuple(
            evolve(check, command=mask(check.command), output=mask(check.output))
            for check in verified.checks
        )
        masked = evolve(verified, checks=checks)
        self._verifications.append(masked)
        self._on_record(masked)

    def _masked(self, call: RecordedCall) -> RecordedCall:
        files = call.files and [self._masked_file(file) for file in call.files]
        if files and not all(is_unicode(file.path) for file in files):
            files = None  # no file of text can hold such a name
        return evolve(
            call,
            tool=self._redaction.text(call.tool),
            arguments=self._redaction.value(dict(call.arguments)),
            text=self._redaction.text(call.text),
            files=files,
        )

    def _masked_file(self, file: FileChange) -> FileChange:
        content = file.content
        if content is not None and is_text(content):
            content = self._redaction.text(content.decode("utf-8")).encode("utf-8")
        return evolve(file, path=self._redaction.text(file.path), content=content)
