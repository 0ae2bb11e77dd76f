"""What moved, and when: recordings of transfers (TransmissionMonitor) and of this machine's network (IOSampler).

Rates are bits per second where they are called ``bps``, as in networking, and bytes elsewhere; times are seconds of
``time.monotonic``. Plots need matplotlib: pip install 'holdfast[plots]'.
"""

from .sampler import IOSampler
from .transmission import IOEnum, Transmission, TransmissionMonitor

__all__ = ["IOEnum", "IOSampler", "Transmission", "TransmissionMonitor"]
