"""Providers that a table in the settings makes, and the ways in which any provider is called."""
