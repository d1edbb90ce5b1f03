"""Speak both vendors' wire formats on this machine, without keys or language models."""
