"""The ways to a provider's models: endpoints and keys, and what their calls are counted on."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from attrs import field, frozen


@frozen
class Deployment:
    """One way to a provider's models: an endpoint, and a key for it.

    name: tells it from the provider's others; empty where it is the only one.
    quota: what its calls count on, the same for all keys of one organization or project. Limits,
        cooldowns and circuit breakers are kept by it.
    key: the environment variable that holds the key. model: what the provider's own model is
        called there. Where empty, as in the provider's table, or its default.
    """

    name: str
    quota: str
    key: str = ""
    api_base: str = ""
    model: str = ""
    options: Mapping[str, Any] = field(factory=dict, repr=False)


@runtime_checkable
class HasDeployments(Protocol):
    """A provider that can be called in several ways; a request says in which one."""

    @property
    def deployments(self) -> Sequence[Deployment]:
        """List the deployments that can be called, the one to prefer first."""
        ...
