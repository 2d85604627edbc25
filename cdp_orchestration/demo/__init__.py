"""The demo company: a seeded generator, a receiver for its webhook, and the script of `cdp demo`."""
