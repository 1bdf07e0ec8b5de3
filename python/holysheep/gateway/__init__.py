"""A gateway on loopback that answers as OpenAI's API does, for demos and tests.

It needs aiohttp: pip install "holysheep[gateway]".
"""
