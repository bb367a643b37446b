"""The matrix's modules, without the packages of its applications."""
import os
import sys

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(TESTS, folder) for folder in ("apps", "guide", "e2e", "bench")]
