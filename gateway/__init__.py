"""The gateway is the door: it authenticates, admits and forwards. It knows no domain and keeps nothing but keys."""
