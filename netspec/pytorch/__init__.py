"""The only folder that imports torch: lowering, fillers, updates, training."""
