"""The modules of accsr: ``remote_storage``, ``config``, ``conversions``, ``loading`` and ``files``.

``from accsr.remote_storage import RemoteStorage`` becomes
``from holdfast.compat.accsr.remote_storage import RemoteStorage``.
"""
