"""A trained net over HTTP: `netspec serve`."""
