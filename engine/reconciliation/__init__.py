"""Comparing what other systems believe with the book: findings, their classes, their actions."""
