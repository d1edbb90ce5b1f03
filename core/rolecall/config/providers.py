"""What the user says of a provider: which vendor it is, its limits, its keys and endpoints."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import Attribute, field, fields, frozen

from ..types.deployments import Deployment

VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
QUOTA = re.compile(r"[A-Za-z0-9_-]([A-Za-z0-9_.-]*[A-Za-z0-9_-])?")  # it becomes a file's name


def at_least(low: float, above: bool = False) -> Any:
    """Return a validator of a number that is not beneath a bound; None passes."""

    def check(_: object, attribute: "Attribute[Any]", value: float | None) -> None:
        if value is None:
            return
        if not math.isfinite(value) or value < low or (above and value == low):
            bound = f"{'above' if above else 'at least'} {low:g}"
            raise ValueError(f"{attribute.name} must be {bound}, not {value!r}")

    return check


def _are_variables(_: object, attribute: "Attribute[Any]", names: tuple[str, ...]) -> None:
    """Check names of variables; what is none may be a key, so it is not repeated."""
    if not all(map(VARIABLE.fullmatch, names)):
        raise ValueError(
            f"{attribute.name} must name environment variables, in capitals; put a key itself "
            "into .env, as NAME=KEY, and its name here"
        )
    if len(set(names)) < len(names):
        raise ValueError(f"{attribute.name} names a variable twice")


def _is_quota(_: object, attribute: "Attribute[Any]", name: str) -> None:
    if name and not QUOTA.fullmatch(name):
        raise ValueError(f"{attribute.name} must be letters, digits, '-', '_' or '.', not {name!r}")


@frozen(kw_only=True)
class ProviderLimits:
    """What the pacing limiter keeps to; None sets no limit, beside those that the vendor reports.

    Each is a limit of a quota: of an organization or project, and not of a key.
    """

    requests_per_minute: int | None = field(default=None, validator=at_least(1))
    tokens_per_minute: int | None = field(default=None, validator=at_least(1))
    input_tokens_per_minute: int | None = field(default=None, validator=at_least(1))
    output_tokens_per_minute: int | None = field(default=None, validator=at_least(1))
    requests_per_day: int | None = field(default=None, validator=at_least(1))
    concurrency: int | None = field(default=None, validator=at_least(1))


@frozen(kw_only=True)
class DeploymentSettings(ProviderLimits):
    """One of a provider's endpoints, `[tool.rolecall.providers.NAME.deployments.DEPLOYMENT]`.

    model: what the provider's own model is called here. What is not set is as in the provider's
    table; options join those there.
    """

    model: str = ""
    api_base: str = field(default="", repr=False)
    keys: tuple[str, ...] = field(default=(), validator=_are_variables)
    quota: str = field(default="", validator=_is_quota)
    options: Mapping[str, Any] = field(factory=dict, repr=False)


def _have_names(_: object, __: object, deployments: Mapping[str, DeploymentSettings]) -> None:
    for name in deployments:
        if not QUOTA.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a deployment; use letters, digits, '-', '_'")


@frozen(kw_only=True)
class ProviderSettings(ProviderLimits):
    """One provider's table, `[tool.rolecall.providers.NAME]`.

    litellm: make this a provider of the vendor that litellm calls so.
    wire: make this a provider of an endpoint that speaks this vendor's format.
    model: instead of the provider's default.
    api_base: the endpoint's address instead of the vendor's own.
    keys: the environment variables that hold its keys, instead of the vendor's usual one.
    quota: what all its keys count on; empty counts each key for itself.
    deployments: several endpoints, by name.
    options: whatever else the provider's plugin documents.
    """

    litellm: str = ""
    wire: str = ""
    model: str = ""
    api_base: str = field(default="", repr=False)
    keys: tuple[str, ...] = field(default=(), validator=_are_variables)
    quota: str = field(default="", validator=_is_quota)
    deployments: Mapping[str, DeploymentSettings] = field(factory=dict, validator=_have_names)
    options: Mapping[str, Any] = field(factory=dict, repr=False)

    @property
    def tables(self) -> Mapping[str, DeploymentSettings]:
        """Map the deployments' names to their tables; the provider itself is one without a name."""
        return self.deployments or {"": DeploymentSettings()}

    @property
    def variables(self) -> frozenset[str]:
        """Return the environment variables that hold keys, by whatever name."""
        return frozenset(self.keys).union(*(table.keys for table in self.deployments.values()))

    @property
    def addresses(self) -> tuple[str, ...]:
        """List the endpoints' addresses, which may hold passwords."""
        return (self.api_base, *(table.api_base for table in self.deployments.values()))


def deployments(provider: str, own: ProviderSettings) -> tuple[Deployment, ...]:
    """List the ways to a provider's models that its table names: one for each endpoint and key."""
    return tuple(each for _, each in _deployments(provider, own))


def limits(provider: str, own: ProviderSettings, quota: str) -> ProviderLimits:
    """Return the limits of a quota: of its deployments' tables, or else of the provider's."""
    tables = [own.tables[name] for name, each in _deployments(provider, own) if each.quota == quota]
    return ProviderLimits(
        **{
            limit.name: next(
                (
                    most
                    for table in (*tables, own)
                    if (most := getattr(table, limit.name)) is not None
                ),
                None,
            )
            for limit in fields(ProviderLimits)
        }
    )


def _deployments(provider: str, own: ProviderSettings) -> Iterator[tuple[str, Deployment]]:
    """List the deployments, each with the name of its table.

    Each key counts on a quota of its own unless the user says otherwise. Keys of one quota that
    are taken for two cost some refusals, as if somebody else used half of it; keys of two quotas
    that are taken for one would go at half the speed for ever, and nobody would notice.
    """
    for name, table in own.tables.items():
        keys = table.keys or own.keys
        for key in keys or ("",):
            full = ".".join(filter(None, (name, key if len(keys) > 1 else "")))
            quota = table.quota or own.quota or full
            yield (
                name,
                Deployment(
                    name=full,
                    quota=f"{provider}@{quota}" if quota else provider,
                    key=key,
                    api_base=table.api_base or own.api_base,
                    model=table.model or own.model,
                    options={**own.options, **table.options},
                ),
            )
