"""PostgreSQL and Valkey as child processes of ours, for those who have neither."""
