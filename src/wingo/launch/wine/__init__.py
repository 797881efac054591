"""Windows images on Linux, through Wine: a Windows image becomes the files, program and environment of a Linux container.

That container has no layers of the image's as they are. Its root is Wine's prepared prefix (`prefix`), over it the image's
own files where Wine looks for drive C: (`drive`), and above both the writable layer; the machine's libraries are mounted
read-only, and nothing else of it. What runs is Wine's loader with `wingo.windows.init_exe` (`translate`). Everything else,
namespaces, limits, network, is as for any Linux image.

It is a smoke test: Wine is no Windows, its system files are its own, and every account may do everything.
"""
