"""What Windows wants of an image: versions, paths, security descriptors, the layer dialect, environment and commands.

Every rule here comes from the importer's source (hcsshim, go-winio, containerd) or from a published Windows interface;
nothing here was tried on a Windows host (docs/explanation/windows-fidelity.md).
"""
