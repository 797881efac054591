"""An image and what it is to run → a running process: Linux namespaces, Wine, the sandbox and its permissions."""
