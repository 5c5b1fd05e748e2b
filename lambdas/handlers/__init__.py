"""One thin file a function: parse, call `privacy`, map the result."""

# Imported here, where the stack is shallow, for the sake of cold starts. CPython keeps frames in chunks:
# from some depths, the regular expressions that urllib3 compiles cross a chunk's edge again and again, and a
# handler's import takes a quarter longer (Python 3.11: 200 ms instead of 160).
import boto3 as boto3
