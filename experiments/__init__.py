"""Studies over generators and the scorer: what each choice brings."""
