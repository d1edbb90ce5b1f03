"""The fixture and the marker `cassette`, in suites of their own."""

import subprocess
import sys

import aiohttp
import pytest
import requests
from serving import serving

from rolecall_plugins.cassettes import recorder

pytestmark = pytest.mark.slow

pytest_plugins = ("pytester",)

# A suite within this one forgets what it imported, so what is slow to import is loaded before.
LOADED = (aiohttp, recorder, requests)

# A client of each library that a provider may use, as a test of its own.
SUITE = """
import asyncio
import urllib.request

import aiohttp
import httpx
import pytest
import requests

URL = "{url}/ask"


def by_httpx(text):
    return httpx.post(URL, json={{"ask": text}}).json()


def by_requests(text):
    return requests.post(URL, json={{"ask": text}}).json()


def by_urllib(text):
    with urllib.request.urlopen(URL, data=text.encode()) as reply:
        return __import__("json").load(reply)


def by_async_httpx(text):
    async def ask():
        async with httpx.AsyncClient() as client:
            replies = await asyncio.gather(*(client.post(URL, json={{"n": n}}) for n in range(3)))
            return replies[0].json()

    return asyncio.run(ask())


def by_aiohttp(text):
    async def ask():
        async with aiohttp.ClientSession() as session:
            async with session.post(URL, json={{"ask": text}}) as reply:
                return await reply.json()

    return asyncio.run(ask())


@pytest.mark.parametrize("ask", [by_httpx, by_requests, by_urllib, by_async_httpx, by_aiohttp])
def test_ask(ask, cassette):
    assert ask("{text}") == {{"text": "# Said"}}
"""
SMALL = """
import httpx
import pytest

{mark}
def test_ask({arguments}):
    {before}
    assert httpx.post("{url}/ask", json={{"ask": "{text}"}}).status_code == 200
    {after}
"""
SWALLOWING = """
import httpx


def test_ask(cassette):
    try:
        httpx.post("{url}/ask")
    except Exception:
        pass
"""
GONE = "http://127.0.0.1:9"


def write(pytester: pytest.Pytester, code: str, **values: str) -> None:
    defaults = {"url": GONE, "text": "hello", "mark": "", "before": "pass", "after": "pass"}
    values = {"arguments": "cassette", **defaults, **values}
    pytester.makepyfile(test_small=code.format(**values))


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", *arguments)


def recorded(pytester: pytest.Pytester, code: str = SMALL, **values: str) -> None:
    with serving() as url:
        write(pytester, code, url=url, **values)
        assert run(pytester, "--record-mode=once").ret == 0


def test_what_any_client_asks_is_recorded_once_and_replayed(pytester: pytest.Pytester) -> None:
    recorded(pytester, SUITE)
    names = sorted(path.name for path in (pytester.path / "cassettes/test_small").iterdir())
    assert names == [
        "test_ask-by_aiohttp.yaml",
        "test_ask-by_async_httpx.yaml",
        "test_ask-by_httpx.yaml",
        "test_ask-by_requests.yaml",
        "test_ask-by_urllib.yaml",
    ]
    write(pytester, SUITE)
    run(pytester).assert_outcomes(passed=5)


def test_without_a_cassette_a_request_fails_and_says_how_to_record(
    pytester: pytest.Pytester,
) -> None:
    write(pytester, SMALL)
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*there is no cassette*pytest test_small.py::test_ask --record-mode=once*"]
    )


def test_a_request_that_is_not_in_the_cassette_is_shown_beside_the_nearest(
    pytester: pytest.Pytester,
) -> None:
    recorded(pytester)
    write(pytester, SMALL, text="goodbye")
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*is not in the cassette*--record-mode=all*", '*-{"ask": "hello"}', '*+{"ask": "goodbye"}']
    )


def test_a_request_that_a_test_swallows_fails_it_all_the_same(pytester: pytest.Pytester) -> None:
    write(pytester, SWALLOWING)
    run(pytester).assert_outcomes(failed=1)


def test_a_reply_that_is_never_asked_for_fails_the_test(pytester: pytest.Pytester) -> None:
    recorded(pytester)
    write(pytester, SMALL, before="return")
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*1 of 1 recorded requests were not made: POST */ask*"])


def test_the_same_request_is_answered_once_for_each_recording(pytester: pytest.Pytester) -> None:
    recorded(pytester)
    again = 'httpx.post("http://elsewhere.example/ask", json={{"ask": "hello"}})'
    write(pytester, SMALL.replace("{after}", again))
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*was recorded 1 times and is asked once more*"])


@pytest.mark.parametrize(
    "connecting",
    [
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import socket; socket.getaddrinfo('example.com', 443)",
        "with __import__('socket').socket() as each: each.connect(('127.0.0.1', 9))",
        "with __import__('socket').socket() as each: each.connect_ex(('192.0.2.1', 9))",
    ],
)
def test_a_socket_past_the_cassette_is_an_error(pytester: pytest.Pytester, connecting: str) -> None:
    recorded(pytester)
    write(pytester, SMALL, after=connecting)
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*no network is there while a cassette replays*"])


def test_the_marker_does_without_the_argument_and_may_name_a_file(
    pytester: pytest.Pytester,
) -> None:
    mark = '@pytest.mark.cassette("shared/one.yaml")'
    recorded(pytester, mark=mark, arguments="")
    assert (pytester.path / "cassettes/shared/one.yaml").exists()
    write(pytester, SMALL, mark=mark, arguments="")
    run(pytester, "--strict-markers").assert_outcomes(passed=1)


def test_recording_all_replaces_what_was_there(pytester: pytest.Pytester) -> None:
    recorded(pytester)
    with serving() as url:
        write(pytester, SMALL, url=url, text="goodbye")
        run(pytester, "--record-mode=all").assert_outcomes(passed=1)
    text = (pytester.path / "cassettes/test_small/test_ask.yaml").read_text("utf-8")
    assert "goodbye" in text
    assert "hello" not in text


def test_a_replay_has_a_key_where_the_machine_has_none(pytester: pytest.Pytester) -> None:
    recorded(pytester)
    write(pytester, SMALL, after="import os; assert os.environ['GEMINI_API_KEY'] == 'replayed'")
    run(pytester).assert_outcomes(passed=1)


def test_a_suite_that_does_not_use_it_loads_nothing_of_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_nothing():
            loaded = {name.partition(".")[0] for name in sys.modules}
            assert not loaded & {"rolecall", "vcr", "httpx", "yaml", "litellm", "aiohttp"}
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_it_uses_no_litellm_unless_the_test_does(pytester: pytest.Pytester) -> None:
    recorded(pytester)
    write(pytester, SMALL, after="import sys; assert 'litellm' not in sys.modules")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_pytest_recording_may_be_there_as_well(pytester: pytest.Pytester) -> None:
    site = pytester.mkdir("site")
    (site / "pytest_recording").mkdir()
    (site / "pytest_recording/__init__.py").write_text("")
    (site / "pytest_recording/plugin.py").write_text(
        "def pytest_addoption(parser):\n"
        "    parser.getgroup('recording').addoption(\n"
        "        '--record-mode', default=None, choices=['once', 'new_episodes', 'none', 'all'])\n"
    )
    info = site / "pytest_recording-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: pytest-recording\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pytest11]\nrecording = pytest_recording.plugin\n")
    pytester.syspathinsert(site)
    recorded(pytester)
    write(pytester, SMALL)
    run(pytester).assert_outcomes(passed=1)
    run(pytester, "-p", "no:recording", "--record-mode=none").assert_outcomes(passed=1)


def test_importing_it_costs_next_to_nothing() -> None:
    code = "import pytest, sys, rolecall_plugins.cassettes.pytest_plugin; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"rolecall", "vcr", "httpx", "asyncio"} & set(ran.stdout.split())
