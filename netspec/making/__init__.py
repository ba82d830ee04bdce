"""The tools that make, import and examine databases and mean files. numpy, no torch."""
