"""A net and its weights in the formats of other programs."""
