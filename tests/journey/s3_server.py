"""A server that takes objects as S3 does, where the SDK of AWS comes to the same signature.

s3_server.py FOLDER BUCKET REGION ACCESS_KEY SECRET_KEY; prints its port. Objects become files of FOLDER.
"""

import datetime
import hashlib
import hmac
import pathlib
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

FOLDER, BUCKET, REGION, ACCESS_KEY, SECRET_KEY = sys.argv[1:]


def fault(request, body):
    """The error code of S3, or nothing where the request is what it says."""
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    parts = dict(part.strip().split("=", 1) for part in rest.split(",") if "=" in part)
    key, day, region, service, last = parts.get("Credential", "////").split("/")[-5:]
    time = request.headers.get("x-amz-date", "")
    if scheme != "AWS4-HMAC-SHA256" or (service, last) != ("s3", "aws4_request") or not time.startswith(day):
        return 400, "AuthorizationHeaderMalformed"
    if key != ACCESS_KEY:
        return 403, "InvalidAccessKeyId"
    if region != REGION:
        return 400, "AuthorizationHeaderMalformed"
    at = datetime.datetime.strptime(time, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    if abs(datetime.datetime.now(datetime.timezone.utc) - at) > datetime.timedelta(minutes=15):
        return 403, "RequestTimeTooSkewed"
    names = parts.get("SignedHeaders", "").split(";")
    if not {"host", "x-amz-date", "x-amz-content-sha256"} <= set(names) or names != sorted(names):
        return 403, "AccessDenied"
    if request.headers["x-amz-content-sha256"] != hashlib.sha256(body).hexdigest():
        return 400, "XAmzContentSHA256Mismatch"
    url = f"http://{request.headers['host']}{request.path}"
    signed = AWSRequest("PUT", url, {name: request.headers[name] for name in names}, body)
    signed.context["timestamp"] = time
    auth = S3SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), "s3", REGION)
    said = auth.string_to_sign(signed, auth.canonical_request(signed))
    if not hmac.compare_digest(auth.signature(said, signed), parts.get("Signature", "")):
        return 403, "SignatureDoesNotMatch"
    if not request.path.startswith(f"/{BUCKET}/"):
        return 404, "NoSuchBucket"
    return None


class Objects(BaseHTTPRequestHandler):
    """Takes objects; says nothing to anybody else."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        wrong = fault(self, body)
        if wrong is None:
            path = pathlib.Path(FOLDER, self.path.lstrip("/"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".part").write_bytes(body)
            path.with_suffix(".part").rename(path)
        status, code = wrong or (200, "")
        answer = f"<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>".encode() if wrong else b""
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Objects)
print(server.server_address[1], flush=True)
server.serve_forever()
