"""Wafa: a real-time relationship-marketing pipeline on Kafka and Faust."""
