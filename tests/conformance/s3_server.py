#!/usr/bin/env python3
"""s3_server.py PORT BUCKET: moto's S3 on loopback, with a bucket.

$SEED_COUNT objects are in it from the start, as a cache would have written them below
"seed/": entries of the default scope, whose keys are the SHA-256 of "key 0", "key 1", ...
"""
import hashlib
import os
import sys

from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer


def main():
    port, bucket = int(sys.argv[1]), sys.argv[2]
    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    backend.create_bucket(bucket, "us-east-1")
    for i in range(int(os.environ.get("SEED_COUNT", "0"))):
        key = hashlib.sha256(f"key {i}".encode()).hexdigest()
        text = f'{{"n":{i}}}'
        seal = hashlib.sha256(f"entry {key}\n{text}".encode()).hexdigest()
        backend.put_object(bucket, f"seed/entries/_/{key}", f"{text}\n{seal}\n".encode())
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    server._thread.join()


main()
