"""What is known of models without importing litellm is what litellm itself makes of it."""

import subprocess
import sys

import pytest

from rolecall import Usage
from rolecall_plugins.providers.anthropic import CLAUDE
from rolecall_plugins.providers.google import GEMINI
from rolecall_plugins.providers.litellm_import import import_litellm
from rolecall_plugins.providers.model_prices import known

MODELS = [(vendor.prefix, vendor.model) for vendor in (CLAUDE, GEMINI)]
PRICED = [*MODELS, ("gemini", "gemini-2.5-pro")]
USAGES = [
    Usage(),
    Usage(input=1000, output=50),
    Usage(input=250_000, output=50_000),
    Usage(input=400_000, output=7, cache_read=300_000),
]


def test_a_price_is_litellms() -> None:
    litellm = import_litellm()
    for prefix, model in PRICED:
        for usage in USAGES:
            theirs = litellm.cost_per_token(
                model=model,
                custom_llm_provider=prefix,
                prompt_tokens=usage.input,
                completion_tokens=usage.output,
                cache_read_input_tokens=usage.cache_read,
            )
            assert known(prefix, model).price(usage) == pytest.approx(sum(theirs))


@pytest.mark.parametrize(("prefix", "model"), MODELS)
def test_the_largest_output_budget_is_known(prefix: str, model: str) -> None:
    most = known(prefix, model).max_output_tokens
    assert most is not None
    assert most >= 16_384


def test_of_an_unknown_model_nothing_is_known() -> None:
    model = known("anthropic", "claude-of-tomorrow")
    assert not model.is_known
    assert (model.max_output_tokens, model.retired, model.price(Usage(1, 1))) == (None, None, None)


def test_litellm_is_not_imported_for_it() -> None:
    code = (
        "import sys; from rolecall_plugins.providers.model_prices import known;"
        "assert known('anthropic', 'claude-sonnet-5-5').is_known;"
        "assert 'litellm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
