"""What a share of few tells about a share of many."""

from collections.abc import Mapping
from math import hypot, sqrt

Z = 1.959963984540054  # of the normal distribution, for 95 %
Z_FUNNEL = 3.090232306167813  # for 99.8 %: of 500 that are alike one lies outside by chance


def wilson(successes: float, n: float, z: float = Z) -> tuple[float, float]:
    """The interval of a share, by default of 95 %: Wilson's score interval (Wilson 1927; Brown, Cai, DasGupta 2001).

    Args:
        n: more than 0.
    """
    share, extra = successes / n, z * z / n
    middle = (share + extra / 2) / (1 + extra)
    half = z / (1 + extra) * sqrt(share * (1 - share) / n + extra / (4 * n))
    # Exactly, where rounding would leave out the share itself.
    return 0.0 if successes == 0 else max(0.0, middle - half), 1.0 if successes == n else min(1.0, middle + half)


def difference(share: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """The 95 % interval of how much a share is above another's, of other people (Newcombe 1998, method 10).

    Args:
        share: successes, and of how many.
    """
    (p, low, high), (q, other_low, other_high) = ((k / n, *wilson(k, n)) for k, n in (share, other))
    return p - q - hypot(p - low, other_high - q), p - q + hypot(high - p, q - other_low)


def median_ranks(n: int) -> tuple[float, float]:
    """How many of *n* ordered values lie below the ends of their median's 95 % interval (Campbell, Gardner 1988)."""
    half = Z * sqrt(n) / 2
    return max(0.0, n / 2 - half), min(float(n), n / 2 + half)


def smallest(cases: Mapping[str, int], least: int, *, always: bool = False) -> set[str]:
    """The groups with fewer than *least* cases, and the next smallest until they have as many together.

    With these left out, no group of few follows from a sum over all and the groups that are shown.

    Args:
        always: the smallest groups are left out even if none has fewer, so that the sum over all does not follow.
    """
    groups: set[str] = set()
    together = 0
    for group in sorted((group for group in cases if cases[group]), key=lambda group: (cases[group], group)):
        if cases[group] >= least and (together >= least or not (together or always)):
            break
        groups.add(group)
        together += cases[group]
    return groups
