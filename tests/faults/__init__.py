"""What goes wrong, and what comes in from outside: faults and abuse by their ids, against running processes."""
