"""The one trainer, its data and its losses, which every model's training shares."""
