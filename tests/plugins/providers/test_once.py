"""What providers prepare is made once, whoever asks for it."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from rolecall_plugins.providers.configured.once import Once


def test_threads_that_come_at_once_get_one_value() -> None:
    made: list[object] = []
    barrier = Barrier(8, timeout=10)

    def make() -> object:
        made.append(object())
        return made[-1]

    once = Once(make)
    assert once.value is None

    def get() -> object:
        barrier.wait()
        return once.get()

    with ThreadPoolExecutor(8) as pool:
        values = [future.result() for future in [pool.submit(get) for _ in range(8)]]
    assert len(made) == 1
    assert {id(value) for value in (*values, once.value)} == {id(made[0])}


def test_what_could_not_be_made_is_tried_again() -> None:
    results = iter([RuntimeError("no"), "yes"])

    def make() -> str:
        result = next(results)
        if isinstance(result, Exception):
            raise result
        return result

    once = Once(make)
    try:
        once.get()
    except RuntimeError:
        assert once.value is None
    assert once.get() == "yes"
