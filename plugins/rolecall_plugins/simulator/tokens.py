"""Estimate tokens, since there is no model here to count them: four characters make one."""

CHARACTERS_PER_TOKEN = 4


def count_tokens(text: str) -> int:
    """Count a text's tokens, rounded up."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def first_tokens(text: str, tokens: int | None) -> str:
    """Keep as much of a text as the tokens hold; None holds all."""
    return text if tokens is None else text[: max(0, tokens) * CHARACTERS_PER_TOKEN]
