"""Entitlements owns who asked, who decided and who may read. It never knows prices, and holds no keys."""
