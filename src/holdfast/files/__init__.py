"""Bulk work on files: ``holdfast.CloudFiles``, and copies between any two stores with ``holdfast.copy_objects``."""
