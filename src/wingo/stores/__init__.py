"""Places that images are read from and written to: registries, layouts, archives, plain files, and the cache."""
