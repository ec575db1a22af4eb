"""The local test endpoint: an app developer posts a song and sees what the phone would say.

Every judgement is made by ``mobile_demo`` with the model file that the phone carries. What is here
lets requests in, hands files to workers and writes down what they say.
"""
