"""Workloads and measurements: does it hold on the busiest day of the year?"""
