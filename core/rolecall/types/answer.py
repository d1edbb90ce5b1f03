"""What an agent's step came to."""

from attrs import frozen

from .messages import Response


@frozen
class Answer:
    """The response to a step, and where it came from.

    agent: that asked. route: the provider and the model that answered.
    step: the key of the step that it answers.
    call: the number of the run's call that it came from, 0 where it was none of this run's.
    reused: it was paid for before, by the run called `source` where that is another one.
    """

    response: Response
    route: str
    agent: str = ""
    call: int = 0
    reused: bool = False
    source: str = ""
    step: str = ""
