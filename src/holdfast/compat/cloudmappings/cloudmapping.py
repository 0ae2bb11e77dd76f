"""``CloudMapping`` of cloud-mappings 2.x: what every ``create_mapping()`` returns is one."""

from ...mapping.cloudmapping import CloudMapping

__all__ = ["CloudMapping"]
