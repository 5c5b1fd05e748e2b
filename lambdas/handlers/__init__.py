"""One thin file a function: parse, call `privacy`, map the result."""

# Imported here, where the stack is shallow, for the sake of cold starts. CPython keeps Python frames in chunks;
# from some depths the regular expressions that urllib3 compiles when boto3 is imported cross a chunk's edge
# again and again, and the import takes a third longer (3.11: 160 ms became 200 ms).
import boto3 as boto3
