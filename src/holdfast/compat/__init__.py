"""The names and manners of the systems that Holdfast replaces, over Holdfast's own stores.

A program changes its import lines (``from storage.fs import ...`` to ``from holdfast.compat.storage.fs import ...``)
and goes on as it was. Or it changes nothing, and whoever starts it says ``holdfast.compat.install("cloudfiles")``
first. New programs use the names of ``holdfast`` itself.
"""

from ._install import install, uninstall

__all__ = ["install", "uninstall"]
