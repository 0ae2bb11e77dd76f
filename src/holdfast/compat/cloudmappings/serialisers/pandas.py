"""The serialisations of DataFrames."""

from ....mapping.serialisers import csv

__all__ = ["csv"]
