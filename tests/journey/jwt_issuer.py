"""An issuer of tokens: keys and signatures by PyJWT, which knows nothing of the gateway.

Prints its port. POST /token {alg, kid?, claims, headers?} gives a token, also forged ones; POST /rotate makes
new keys and forgets the old; POST /down {down} makes it fail; GET /counts says how often it was asked.
"""

import base64
import hashlib
import hmac
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

STATE = {"down": False, "generation": 0, "counts": {"discovery": 0, "keys": 0}, "keys": {}}


def rotate():
    STATE["generation"] += 1
    STATE["keys"] = {
        "RS": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "ES384": ec.generate_private_key(ec.SECP384R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    }


def kind(algorithm):
    return "RS" if algorithm[:2] in ("RS", "PS") else algorithm


def kid(name):
    return f"{name}-{STATE['generation']}"


def jwks():
    made = []
    for name, key in STATE["keys"].items():
        algorithm = RSAAlgorithm if name == "RS" else OKPAlgorithm if name == "EdDSA" else ECAlgorithm
        row = json.loads(algorithm.to_jwk(key.public_key()))
        made.append({**row, "kid": kid(name), "use": "sig"})
    return {"keys": made + [{"kty": "oct", "kid": "shared", "k": "c2VjcmV0"}]}


def part(value):
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def token(wish):
    algorithm, claims = wish["alg"], wish["claims"]
    headers = {"kid": wish.get("kid") or kid(kind(algorithm)), **wish.get("headers", {})}
    if algorithm == "none":
        return jwt.encode(claims, None, algorithm="none", headers=headers)
    if algorithm == "HS256":
        # PyJWT refuses to do this with a public key, as it should: so by hand.
        public = STATE["keys"]["RS"].public_key()
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        secret = public.public_bytes(serialization.Encoding.PEM, form)
        header = {"alg": "HS256", "typ": "JWT", **headers, "kid": kid("RS")}
        text = f"{part(json.dumps(header).encode())}.{part(json.dumps(claims).encode())}"
        return f"{text}.{part(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"
    return jwt.encode(claims, STATE["keys"][kind(algorithm)], algorithm=algorithm, headers=headers)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, value, headers=()):
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in headers:
            self.send_header(name, text)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        base = f"http://127.0.0.1:{self.server.server_port}"
        if self.path == "/counts":
            return self.answer(200, STATE["counts"])
        name = {"/.well-known/openid-configuration": "discovery", "/keys": "keys"}.get(self.path)
        if name is None:
            return self.answer(404, {})
        STATE["counts"][name] += 1
        if STATE["down"]:
            return self.answer(503, {"error": "down"})
        if name == "discovery":
            return self.answer(200, {"issuer": base, "jwks_uri": f"{base}/keys", "scopes_supported": ["openid"]})
        return self.answer(200, jwks(), [("Cache-Control", "public, max-age=3600")])

    def do_POST(self):
        wish = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        if self.path == "/token":
            return self.answer(200, {"token": token(wish)})
        if self.path == "/rotate":
            rotate()
        if self.path == "/down":
            STATE["down"] = wish["down"]
        return self.answer(200, {})

    def log_message(self, *_):
        pass


rotate()
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
sys.exit(0)
