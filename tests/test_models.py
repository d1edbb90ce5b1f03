"""What is known of models without importing litellm is what litellm itself makes of it."""

import subprocess
import sys

import litellm
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall import Usage
from rolecall_plugins._models import ceiling, known, price
from rolecall_plugins.claude import CLAUDE
from rolecall_plugins.gemini import GEMINI

MODELS = [(vendor.prefix, vendor.model) for vendor in (CLAUDE, GEMINI)]


@pytest.mark.parametrize(("prefix", "model"), [*MODELS, ("gemini", "gemini-2.5-pro")])
@given(st.data())
def test_a_price_is_litellms(prefix: str, model: str, data: st.DataObject) -> None:
    total = data.draw(st.integers(0, 400_000))
    read = data.draw(st.integers(0, total))
    usage = Usage(input=total, output=data.draw(st.integers(0, 60_000)), cache_read=read)
    prompt, completion = litellm.cost_per_token(
        model=model,
        custom_llm_provider=prefix,
        prompt_tokens=usage.input,
        completion_tokens=usage.output,
        cache_read_input_tokens=usage.cache_read,
    )
    assert price(known(prefix, model), usage) == pytest.approx(prompt + completion, rel=1e-6)


@pytest.mark.parametrize(("prefix", "model"), MODELS)
def test_the_largest_output_budget_is_known(prefix: str, model: str) -> None:
    most = ceiling(known(prefix, model))
    assert most is not None
    assert most >= 16_384


def test_of_an_unknown_model_nothing_is_known() -> None:
    entry = known("anthropic", "claude-of-tomorrow")
    assert (ceiling(entry), price(entry, Usage(1, 1))) == (None, None)


def test_litellm_is_not_imported_for_it() -> None:
    code = (
        "import sys; from rolecall_plugins._models import known;"
        "assert known('anthropic', 'claude-sonnet-5-5'); assert 'litellm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
