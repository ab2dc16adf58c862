"""The services: catalog (what is on offer), entitlements (who may), pricing (what it cost and costs)."""
