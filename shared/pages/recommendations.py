"""Recommended revisions in words, as the pages of two services say them."""

from shared.pages.languages import N_

# Why something is recommended, by `facts.ground_of`.
GROUNDS = {
    "ratings": N_("too few ratings are 4 or 5"),
    "wishes": N_("employers wish it"),
    "demand": N_("it is demanded, and nobody in the region certifies it"),
    "fall": N_("its ratings fell"),
    "lapsed": N_("it is certified, and nobody has demanded it for long"),
}
OVERDUE = N_("overdue")  # the day for which a revision was planned has passed
