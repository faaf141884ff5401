"""Studies over generators and the scorer: what each choice brings."""

__all__: list[str] = []
