"""What all services share; its folders lie one above the other: see Develop in the README."""

__version__ = "0.1.0"
