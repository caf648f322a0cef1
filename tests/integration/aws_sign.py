#!/usr/bin/env python3
"""aws_sign.py AWS-TOOL [COUNT [SEED]] - our signatures against botocore's, for random requests.

Exit 77 where there is no botocore."""
import datetime
import json
import random
import subprocess
import sys
from unittest import mock
from urllib.parse import quote

try:
    import botocore.auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
except ImportError:
    sys.exit(77)

ALPHABET = "abcXYZ019-._~!$&'()*+,;=:@/ %\u00e9\u20ac"
NAMES = ["Range", "If-Match", "If-None-Match", "x-amz-storage-class", "X-Amz-Meta-A", "Content-Type",
         "x-amz-target", "Accept", "Cache-Control"]


def text(rng, most, alphabet=ALPHABET):
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(0, most)))


def make(rng):
    s3 = rng.random() < 0.5
    port = rng.choice(["", ":443", ":8443"])
    path = "/" + text(rng, 30, ALPHABET.replace("/", "") if s3 else ALPHABET)
    query = sorted((quote(text(rng, 6) + "k", safe="-._~"), quote(text(rng, 9), safe="-._~"))
                   for _ in range(rng.randint(0, 4)))
    url = f"https://host.example{port}{quote(path, safe='/-._~')}"
    if query:
        url += "?" + "&".join(f"{k}={v}" for k, v in query)
    names = rng.sample(NAMES, rng.randint(0, 4))
    value = "abc \t\"=/*"
    return {
        "method": rng.choice(["GET", "PUT", "POST", "DELETE", "HEAD"]), "url": url,
        "service": "s3" if s3 else rng.choice(["ecr", "sts", "codebuild"]),
        "region": rng.choice(["us-east-1", "eu-central-1"]),
        "id": "AKIA" + text(rng, 12, "ABC09"), "secret": "s" + text(rng, 60, "abcXYZ09+/"),
        "token": text(rng, 80, "abcXYZ09+/=") if rng.random() < 0.5 else "",
        "time": rng.randint(0, 4000000000), "body": text(rng, 50) if rng.random() < 0.5 else "",
        "fields": [[n, "v" + text(rng, 12, value).rstrip()] for n in names],
    }


def theirs(r):
    signer = botocore.auth.S3SigV4Auth if r["service"] == "s3" else botocore.auth.SigV4Auth
    req = AWSRequest(method=r["method"], url=r["url"], headers=dict(r["fields"]),
                     data=r["body"].encode())
    # botocore leaves bodies over https unsigned only when asked to
    when = datetime.datetime.fromtimestamp(r["time"], datetime.timezone.utc)
    with mock.patch.object(botocore.auth, "get_current_datetime", lambda *a, **k: when):
        signer(Credentials(r["id"], r["secret"], r["token"] or None), r["service"],
               r["region"]).add_auth(req)
    return req.headers["Authorization"]


def main():
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 500
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 32)
    rng = random.Random(seed)
    requests = [make(rng) for _ in range(count)]
    lines = "".join(json.dumps(r) + "\n" for r in requests)
    out = subprocess.run([sys.argv[1], "sign"], input=lines, text=True, capture_output=True,
                         check=False)
    ours = out.stdout.splitlines()
    wrong = 0
    for i, r in enumerate(requests):
        want, got = theirs(r), ours[i] if i < len(ours) else "(nothing)"
        if want != got and (wrong := wrong + 1) <= 3:
            print(f"{json.dumps(r)}\n  botocore {want}\n  cairn    {got}")
    print(f"{count - wrong} of {count} signatures are the same (seed {seed}) {out.stderr}")
    sys.exit(wrong > 0)


main()
