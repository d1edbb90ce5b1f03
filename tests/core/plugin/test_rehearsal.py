"""What options of plugins may change of a run, and what a rehearsal stands between."""

from pathlib import Path

import pytest
from building import Gate, KeyedProvider, plugin

from rolecall import Clock, Host, Rehearsal, RunOption, RunSetup, Settings, SettingsError
from rolecall.testing import FakeClock, FakeProvider

LOUD = RunOption("--loud", "Be loud.", tuple)


def setup(host: Host | None = None, settings: Settings | None = None) -> RunSetup:
    return RunSetup("run", host or Host([]), settings or Settings())


def hosting(**hooks: object) -> Host:
    host = Host([])
    host.register("all", plugin(**hooks))
    return host


class Reading(FakeProvider):
    """A provider that keeps what it was told of the environment."""

    def __init__(self, settings: Settings) -> None:
        super().__init__("one")
        self.key = settings.variable("ONE_API_KEY")
        self.base = settings.variable("ONE_API_BASE")
        self.missed = settings.variable("OTHER_TOKEN")


def test_no_provider_is_given_a_key_in_a_rehearsal() -> None:
    host = hosting(providers=lambda settings: [Reading(settings)])
    settings = Settings(environment={"ONE_API_KEY": "planted", "ONE_API_BASE": "http://one"})
    ready = setup(host, settings).rehearsing("--pretend", Rehearsal())
    (reading, owner), *_ = ready.host.providers(ready.settings).values()
    assert (reading.key, reading.base, reading.missed, owner) == (
        Rehearsal.placeholder,
        "http://one",
        Rehearsal.placeholder,
        "all",
    )
    assert ready.settings.variable("ONE_API_KEY") == "planted"  # for those who send it elsewhere


def test_a_rehearsal_may_put_something_in_a_providers_place() -> None:
    barred = KeyedProvider("one", "it is barred")
    host = hosting(providers=lambda: [FakeProvider("one")])
    ready = setup(host).rehearsing("--pretend", Rehearsal(provider=lambda provider: barred))
    assert ready.host.providers(ready.settings) == {"one": (barred, "all")}
    assert isinstance(host.providers(Settings())["one"][0], FakeProvider)


def test_a_rehearsal_may_be_limited_otherwise_than_the_vendors() -> None:
    real, free = Gate("real"), Gate("free")
    host = hosting(limiters=[real])
    kept = setup(host).rehearsing("--pretend", Rehearsal())
    replaced = setup(host).rehearsing("--pretend", Rehearsal(limiters=[free]))
    assert kept.host.limiters(kept.settings) == {"real": (real, "all")}
    assert [each for each, _ in replaced.host.limiters(replaced.settings).values()] == [free]


def test_a_rehearsal_keeps_its_shared_state_apart() -> None:
    ready = setup(settings=Settings(state="shared")).rehearsing("--pretend", Rehearsal())
    assert Path(ready.settings.state) == Path("shared/rehearsal")
    alone = setup(settings=Settings(state="")).rehearsing("--pretend", Rehearsal())
    assert alone.settings.state == ""


def test_what_a_rehearsal_sets_has_the_option_as_its_source() -> None:
    ready = setup().rehearsing("--pretend", Rehearsal({"attempts": 9}))
    assert (ready.settings.attempts, ready.settings.rehearsal) == (9, True)
    assert str(ready.settings.source_of("attempts")) == "--pretend"
    assert str(ready.settings.source_of("rehearsal")) == "--pretend"


def test_a_wrong_value_of_an_option_names_the_option() -> None:
    with pytest.raises(SettingsError, match=r"^--often: attempts must be at least 1, not 0$"):
        setup().with_settings("--often", attempts=0)


def test_time_passes_as_a_rehearsal_says() -> None:
    clock: Clock = FakeClock()
    assert setup().rehearsing("--pretend", Rehearsal(clock=clock)).clock is clock
    quick = RunSetup("run", Host([]), Settings(), clock=clock)
    assert quick.rehearsing("--pretend", Rehearsal()).clock is clock


def test_an_option_finds_the_value_of_another() -> None:
    given = RunSetup("run", Host([]), Settings(), given={"--loud": ("very",)})
    assert LOUD.value_in(given) == ("very",)
    assert LOUD.value_in(setup()) is None
