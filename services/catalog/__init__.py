"""Catalog owns what is on offer: datasets and their frequencies. It never knows who may read them, nor prices."""
