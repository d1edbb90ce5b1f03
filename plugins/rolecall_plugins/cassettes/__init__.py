"""Cassettes: recorded HTTP traffic that replays without network or keys."""
