"""OpenAI's chat completions, as any vendor that speaks them."""
