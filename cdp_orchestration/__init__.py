"""A warehouse-native customer data platform: Python moves data, SQL gives it meaning."""
