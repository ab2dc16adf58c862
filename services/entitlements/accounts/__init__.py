"""The accounts as entitlements knows them: their standing here, their names and roles from the gateway."""
