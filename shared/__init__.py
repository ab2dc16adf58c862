"""The ground every process stands on: no domain word in it, and it imports no other package of ours."""
