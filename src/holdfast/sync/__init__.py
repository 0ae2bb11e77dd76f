"""Syncs that are planned, looked at, and then applied: nothing is changed that the plan did not name.

    plan(source, target, ...)  -> Plan      what is to be done with each key, and why; nothing is changed
    apply(plan, ...)           -> Summary   what was done; what has changed since the plan was made was not

A Plan is made of Actions, each with the Identities that it rests on. A Journal lets an apply go on after any end; an
Index remembers what is known to be equal, so that the next plan asks for little.
"""

from .actions import Action, Identity
from .applying import apply
from .comparing import Comparison
from .filters import Filter
from .globs import Glob
from .index import Index
from .journal import Journal, JournalledRun
from .places import Place, place
from .planning import plan
from .plans import Plan, Terms
from .regexes import Regex
from .summary import Result, Summary

__all__ = [
    "Action",
    "Comparison",
    "Filter",
    "Glob",
    "Identity",
    "Index",
    "Journal",
    "JournalledRun",
    "Place",
    "Plan",
    "Regex",
    "Result",
    "Summary",
    "Terms",
    "apply",
    "place",
    "plan",
]
