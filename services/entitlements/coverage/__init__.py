"""How it stands with every cell on offer for one account, and what the rules would say to asking."""
