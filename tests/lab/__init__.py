"""A local AWS for the tests and the demo: moto, made honest where it is not.

``python -m lab serve`` runs one process that answers AWS API calls on 127.0.0.1, really
authenticates and authorises every one of them, and runs the registered Lambda functions.
"""
