"""Pages on which institutions publish schemes and look after their certificates."""
