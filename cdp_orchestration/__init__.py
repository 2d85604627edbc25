"""A warehouse-native customer data platform: Python moves data, SQL gives it meaning."""

import logging

# Modules log what a person should see while they work. The verbs of `cdp` show it on the terminal, and dagster.yaml has
# Dagster write it to the log of the run; where nobody listens, it is silent.
logging.getLogger("cdp").setLevel(logging.INFO)
logging.getLogger("cdp").addHandler(logging.NullHandler())
