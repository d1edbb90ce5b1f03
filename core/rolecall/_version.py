"""The version of rolecall that is installed."""

from importlib.metadata import version

__version__ = version("rolecall")
