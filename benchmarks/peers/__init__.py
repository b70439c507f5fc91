"""INV-1 by other stream processors, each as its expert would write it, beside our own."""
