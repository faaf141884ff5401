"""COCO 2014: the captions and images of a download, made into a competition by `prepare.py`."""
