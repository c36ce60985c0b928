"""The systems. Each is started as a process of its own; BENCH_* variables say what to read and where to write."""

import gc
import sys


def tune() -> None:
    """Set the interpreter for every Python system as for the product, see `shared.http.application.tune`."""
    gc.freeze()
    gc.set_threshold(500_000, 20, 100)
    sys.setswitchinterval(0.0005)
