"""Who has read how much: counted in memory, written down every few seconds."""
