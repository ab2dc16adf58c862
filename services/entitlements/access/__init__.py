"""The one answer to: may this account read this cell now? Price reads, market caps and the rest all ask here."""
