"""The names and manners of the systems that Holdfast replaces, over Holdfast's own stores.

A program changes its import lines (``from storage.fs import ...`` to ``from holdfast.compat.storage.fs import ...``)
and goes on as it was. New programs use the names of ``holdfast`` itself.
"""
