"""Remembered answers that are never wrong for long, and never wrong once a revoke has answered.

An owner (the service whose database holds the facts) counts the changes after which an answer could become no; a
replica (a process that remembers answers) asks it ten times a second what has changed. The rules are those of the
promise: when a revoke has answered, no read that starts later succeeds on any replica; and when an approval has
answered, the next read succeeds. Each stands where it is kept: `owner`, `memory` (pure) and `following` (the clock
and the network). They were checked together by simulation; none of them can be left out.
"""
