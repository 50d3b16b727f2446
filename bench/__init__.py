"""`make bench`: what a containment costs, next to the same calls in Python and to Cloud Custodian."""
