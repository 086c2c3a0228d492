"""Holds signed requests against what the SDK of AWS signs.

bedrock_signatures.py ACCESS_KEY SECRET_KEY REGION. Reads a JSON array from stdin: {"path", "headers", "body"}
each, headers with names in lower case. Prints what is wrong, a line each.
"""

import datetime
import json
import sys

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ACCESS_KEY, SECRET_KEY, REGION = sys.argv[1:]

for number, seen in enumerate(json.load(sys.stdin)):
    headers = seen["headers"]
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    parts = dict(part.strip().split("=", 1) for part in rest.split(",") if "=" in part)
    time = headers.get("x-amz-date", "")
    scope = f"{ACCESS_KEY}/{time[:8]}/{REGION}/bedrock/aws4_request"
    names = parts.get("SignedHeaders", "").split(";")
    if scheme != "AWS4-HMAC-SHA256" or parts.get("Credential") != scope:
        print(f"request {number}: it is signed for {parts.get('Credential')}, not for {scope}")
        continue
    at = datetime.datetime.strptime(time, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    if abs(datetime.datetime.now(datetime.timezone.utc) - at) > datetime.timedelta(minutes=15):
        print(f"request {number}: its time is {time}")
    if unsigned := [name for name in headers if name.startswith("x-amz-") and name not in names]:
        print(f"request {number}: {unsigned} are not signed")
    if "host" not in names or names != sorted(names):
        print(f"request {number}: the names {names} are not in order")
    url = f"http://{headers['host']}{seen['path']}"
    signed = AWSRequest("POST", url, {name: headers[name] for name in names}, seen["body"].encode())
    signed.context["timestamp"] = time
    auth = SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), "bedrock", REGION)
    said = auth.string_to_sign(signed, auth.canonical_request(signed))
    if auth.signature(said, signed) != parts.get("Signature"):
        print(f"request {number}: the signature is another")
