"""In which ways a provider can be called: its endpoints and keys, and what is wrong with them."""

import re
from collections.abc import Iterator, Sequence

from attrs import field, frozen

from rolecall import Deployment, Request, Settings

from ..addresses import wrong_endpoint, wrong_proxy


@frozen
class Access:
    """A deployment with what it is called with.

    variables: where its key may stand. key, base: empty where there is none.
    missing: what must be set first, None where nothing must.
    """

    deployment: Deployment
    variables: tuple[str, ...]
    key: str = field(repr=False)
    base: str = field(repr=False)
    missing: str | None = None


class Accesses:
    """A provider's deployments, and the one that a request means.

    keys: the variables of its usual key, the first set one wins. bases: variables whose address
    wins over the settings', the first set one. console: where keys are made. form: a regular
    expression that the vendor's keys match. needs_key, needs_base: whether it cannot be called
    without; a key whose variable the user named is always needed. bearer: a key is sent where
    an address's user name and password would be.
    """

    def __init__(
        self,
        settings: Settings,
        name: str,
        *,
        keys: Sequence[str],
        bases: Sequence[str],
        console: str = "",
        form: str = ".*",
        needs_key: bool = True,
        needs_base: bool = False,
        bearer: bool = False,
    ) -> None:
        self._settings = settings
        self._name = name
        self._keys = tuple(keys)
        self._bases = tuple(bases)
        self._source = f"copy it again from {console}" if console else "copy it again"
        self._console = console
        self._form = form
        self._needs_key = needs_key
        self._needs_base = needs_base
        self._bearer = bearer
        self._has_endpoints = len({each.api_base for each in settings.deployments(name)}) > 1
        self._all = [self._access(each) for each in settings.deployments(name)]
        self._usable = [each for each in self._all if each.missing is None]
        self._model = settings.provider(name).model
        self._by_name = {each.deployment.name: each for each in self._all}

    @property
    def deployments(self) -> list[Deployment]:
        """List the deployments that can be called; each key once, whatever names it has."""
        kept: dict[tuple[str, str, str], Deployment] = {}
        for each in self._usable:
            key = "" if self._settings.hides_secrets else each.key  # there, all are the same
            identity = (key or each.deployment.name, each.base, each.deployment.model)
            kept.setdefault(identity, each.deployment)
        return [*kept.values()]

    @property
    def usable(self) -> Sequence[Access]:
        return self._usable

    def missing(self) -> str | None:
        """Describe what must be set before any of them can be called, or None."""
        return None if self._usable else self._all[0].missing

    def of(self, request: Request) -> Access:
        """Return what a request is to be sent with; the first where it names none."""
        named = self._by_name.get(request.deployment)
        return named or (self._usable or self._all)[0]

    def model(self, request: Request, access: Access) -> str:
        """Return what the request's model is called there."""
        there = access.deployment.model
        return there if there and request.model == self._model else request.model

    def diagnose(self) -> Iterator[str]:
        """List what is wrong with each of them, with its remedy."""
        seen: dict[str, str] = {}
        for each in self._all:
            named = " or ".join(each.variables)
            if not each.key and each.missing and self._console:
                yield f"{each.missing}; make a key at {self._console} and put it in .env"
            elif each.missing:
                yield each.missing
            elif each.key and not each.base and not re.fullmatch(self._form, each.key):
                yield f"{named} has not the form of a key; {self._source}"
            wrong = self._wrong_address(each.base, each.deployment.name)
            if wrong and wrong != each.missing:
                yield wrong
            if each.key and not self._settings.hides_secrets:
                other = seen.setdefault(each.key + each.base, named)
                if other != named:
                    yield f"{named} holds the same key as {other}; it is used once"

    def _access(self, deployment: Deployment) -> Access:
        settings = self._settings
        variables = (deployment.key,) if deployment.key else self._keys
        key = settings.variable(*variables)
        base = settings.variable(*self._bases) or deployment.api_base
        if self._has_endpoints and not settings.hides_secrets:
            base = deployment.api_base  # one variable cannot stand for several
        missing = self._missing(deployment, variables, key, base)
        return Access(deployment, variables, key, base, missing)

    def _missing(
        self, deployment: Deployment, variables: tuple[str, ...], key: str, base: str
    ) -> str | None:
        if not key and (self._needs_key or deployment.key):
            return f"{' or '.join(variables)} is not set"
        if not (key.isascii() and (not key or key.isprintable())):
            name = next(name for name in variables if self._settings.variable(name))
            return f"{name} holds a character that no key has; {self._source}"
        if self._needs_base and not base:
            return f"{self._setting(deployment.name)} is not set: which endpoint is it?"
        if key and self._bearer and "@" in base:
            setting = self._setting(deployment.name)
            return f"{setting} holds a password beside {variables[0]}: only one can be sent"
        return self._wrong_address(base, deployment.name)

    def _wrong_address(self, base: str, deployment: str) -> str | None:
        """Describe what keeps an endpoint, or its proxy, from being reached."""
        settings = self._settings
        named = (name for name in self._bases if settings.variable(name))
        setting = next(named, self._setting(deployment))
        return (wrong_endpoint(base, setting) if base else None) or wrong_proxy(settings, base)

    def _setting(self, deployment: str) -> str:
        """Return the key of the setting that holds a deployment's address."""
        own = self._settings.provider(self._name)
        table = next(
            (name for name in own.deployments if f"{deployment}.".startswith(f"{name}.")), ""
        )
        if table and own.deployments[table].api_base:
            return f"tool.rolecall.providers.{self._name}.deployments.{table}.api_base"
        return f"tool.rolecall.providers.{self._name}.api_base"


def variable_of(name: str, what: str) -> str:
    """Return the environment variable of a provider: `AZURE_EU_API_BASE` of `azure-eu`."""
    return f"{re.sub(r'[^A-Z0-9]', '_', name.upper())}_{what}"
