"""What an image's file system looks like once its layers are stacked: read-only, nothing is unpacked."""
