"""Pages of schemes and certificates: the catalogue for everybody, and what institutions do."""
