"""The embedded runtime: inputs, outputs, one data folder and the loop, in one process."""
