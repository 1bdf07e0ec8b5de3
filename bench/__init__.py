"""Measurements of holysheep beside its peers: `./run bench --help`."""
