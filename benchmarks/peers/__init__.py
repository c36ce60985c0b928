"""The contestants. Each is started as a process of its own; BENCH_* variables say what to read and where to write."""

import gc


def tune() -> None:
    """Fewer rounds of the garbage collector, for every Python contestant as for the product: a batch makes much."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
