"""What wingo's tests, and yours, are made of: registries, images and Windows bases in this process."""
