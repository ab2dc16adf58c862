"""What a draft of rules would have answered to past requests; nothing is written."""
