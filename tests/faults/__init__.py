"""Faults: killed processes, full and read-only disks, damaged files, locks, open transactions, threads, closed connections."""
