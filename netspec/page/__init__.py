"""A net as one HTML file: diagram, inspector, table and source, without a network."""
