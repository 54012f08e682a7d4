"""Training: one loop for every model, and folders that survive a kill."""
