"""Breaks the real stack at random while events arrive, and proves that nothing is lost or counted twice."""
