"""The bestiary, the embedded competition: everything it needs is in this folder and the rooms' weights."""
