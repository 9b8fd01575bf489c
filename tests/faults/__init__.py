"""Faults: killed processes, full disks, damaged files, locks, open transactions, threads, closed connections."""
