"""The check before a push: does a server answer as the trained model does, and fast enough?"""
