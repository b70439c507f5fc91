"""INV-1 by bytewax; runs in a virtual environment of its own, see `requirements.txt`."""
