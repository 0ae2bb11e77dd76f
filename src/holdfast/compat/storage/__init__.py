"""amplify-storage-utils by its own module names: ``holdfast.compat.storage.fs`` for ``storage.fs``, and so on.

The classes take the original's arguments and give what its methods gave: ``delete`` True, ``keys()`` a list, values
that are no bytes where a store speaks of values. The work is done by the stores and wrappers of Holdfast, so bulk runs,
ranges, conditions and streams are theirs. Any object with the original's five methods may be wrapped.
"""
