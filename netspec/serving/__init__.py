"""A trained net behind HTTP: `netspec serve`."""
