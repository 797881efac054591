"""What an image for Linux needs: paths, owners and modes, the layer, and the system's files where no base has them."""
