"""Provide what rolecall ships as plugins."""
