"""The nouns of the OCI image specification as frozen values; the JSON spelling is in `wingo.oci.wire` alone."""
