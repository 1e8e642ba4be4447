"""How many instructions this thread carried out: a count that other programs do not disturb.

The kernel counts them where the processor can and `perf_event_paranoid` permits; those of the
kernel itself are not among them.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

_SYSCALLS = {"x86_64": 298, "aarch64": 241}
_TYPE_HARDWARE = 0
_COUNT_INSTRUCTIONS = 1
_ATTRIBUTES = 112
_EXCLUDE_KERNEL_AND_HYPERVISOR = 1 << 5 | 1 << 6


def open_counter() -> int | None:
    """Start to count for this thread.

    :return: a file that tells the count; None where the system does not permit it.
    """
    number = _SYSCALLS.get(platform.machine())
    if platform.system() != "Linux" or number is None:
        return None
    # struct perf_event_attr: type, size, config, period, sample type, read format, flags.
    attributes = struct.pack(
        "=IIQQQQQ",
        _TYPE_HARDWARE,
        _ATTRIBUTES,
        _COUNT_INSTRUCTIONS,
        0,
        0,
        0,
        _EXCLUDE_KERNEL_AND_HYPERVISOR,
    ).ljust(_ATTRIBUTES, b"\0")
    opened: int = ctypes.CDLL(None, use_errno=True).syscall(number, attributes, 0, -1, -1, 0)
    return None if opened < 0 else opened


def read_counter(counter: int | None) -> int:
    """The count so far; 0 without a counter."""
    return 0 if counter is None else int.from_bytes(os.read(counter, 8), "little")
