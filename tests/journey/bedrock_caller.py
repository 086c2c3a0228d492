"""AWS's own SDK before us instead of Bedrock: answers, streams, counts, lists, and refusals by their classes.

The address is the only argument; our key stands in TOLLGATE_KEY. Requests are signed with keys of AWS that
mean nothing, since the SDK shows bearer's keys by https alone.
"""

import json
import os
import sys

from botocore.exceptions import ClientError, EventStreamError
from botocore.session import get_session

URL = sys.argv[1]
MODEL = "us.anthropic.claude-far-1-20260101-v1:0"
BODY = json.dumps(
    {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 32,
        "messages": [{"role": "user", "content": "hi"}],
    }
)


def client(name):
    keys = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "nothing"}
    made = get_session().create_client(name, region_name="us-east-1", endpoint_url=URL, **keys)
    made.meta.events.register("before-sign.*.*", show_key)
    return made


def show_key(request, **_):
    request.headers.add_header("x-tollgate-key", os.environ["TOLLGATE_KEY"])


def refusal(call):
    try:
        call()
    except ClientError as error:
        return [error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]]
    return None


def streamed(model):
    kinds = []
    answer = runtime.invoke_model_with_response_stream(modelId=model, body=BODY)
    try:
        for event in answer["body"]:
            kinds.append(json.loads(event["chunk"]["bytes"])["type"] if "chunk" in event else "other")
    except EventStreamError as error:
        kinds.append(error.response["Error"]["Code"])
    return [answer["contentType"], kinds]


runtime = client("bedrock-runtime")
whole = runtime.invoke_model(modelId=MODEL, body=BODY)
profiles = client("bedrock").list_inference_profiles(typeEquals="SYSTEM_DEFINED")
print(
    json.dumps(
        {
            "whole": json.loads(whole["body"].read())["content"],
            "streamed": streamed(MODEL),
            "broken": streamed("claude-broken"),
            "counted": runtime.count_tokens(modelId=MODEL, input={"invokeModel": {"body": BODY}})["inputTokens"],
            "profiles": [one["inferenceProfileId"] for one in profiles["inferenceProfileSummaries"]],
            "unknown": refusal(lambda: runtime.invoke_model(modelId="no-such-model", body=BODY)),
            "malformed": refusal(lambda: runtime.invoke_model(modelId=MODEL, body="[]")),
        }
    )
)
