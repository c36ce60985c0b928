"""What a share of few tells about a share of many."""

from collections.abc import Mapping
from math import sqrt

Z = 1.959963984540054  # of the normal distribution, for 95 %


def wilson(successes: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share: Wilson's score interval (Wilson 1927; Brown, Cai, DasGupta 2001).

    Args:
        n: more than 0.
    """
    share, extra = successes / n, Z * Z / n
    middle = (share + extra / 2) / (1 + extra)
    half = Z / (1 + extra) * sqrt(share * (1 - share) / n + extra / (4 * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def smallest(cases: Mapping[str, int], least: int) -> set[str]:
    """The groups with fewer than *least* cases, and the next smallest until they have as many together.

    With these left out, no group of few follows from a sum over all and the groups that are shown.
    """
    groups: set[str] = set()
    together = 0
    for group in sorted((group for group in cases if cases[group]), key=lambda group: (cases[group], group)):
        if cases[group] >= least and (not together or together >= least):
            break
        groups.add(group)
        together += cases[group]
    return groups
