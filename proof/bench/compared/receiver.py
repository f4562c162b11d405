"""A plain receiver in Python, as one would write it from Veryfi's FAQ.

It is here to be measured. It loses documents and trusts what it should not.
"""

import base64
import hashlib
import hmac
import json
import os
import ssl
from decimal import Decimal

import boto3
import urllib3

sqs = boto3.client("sqs")
table = boto3.resource("dynamodb").Table(os.environ.get("TABLE_NAME", "documents"))
http = urllib3.PoolManager(ssl_context=ssl.create_default_context())
secret = json.loads(
    boto3.client("secretsmanager").get_secret_value(SecretId=os.environ["VERYFI_SECRET_ID"])["SecretString"]
)


def webhook(event, context):
    payload = json.loads(event["body"])
    digest = hmac.new(secret["client_secret"].encode(), str(payload["data"]).encode(), hashlib.sha256).digest()
    if base64.b64encode(digest).decode() != event["headers"]["x-veryfi-signature"]:
        return {"statusCode": 401}
    sqs.send_message(QueueUrl=os.environ["QUEUE_URL"], MessageBody=json.dumps({"id": payload["data"]["id"]}))
    return {"statusCode": 200}


def processor(event, context):
    for record in event["Records"]:
        document_id = json.loads(record["body"])["id"]
        answer = http.request(
            "GET",
            f"{os.environ['VERYFI_BASE_URL']}/api/v8/partner/documents/{document_id}/",
            headers={
                "client-id": secret["client_id"],
                "authorization": f"apikey {secret['username']}:{secret['api_key']}",
            },
        )
        document = json.loads(answer.data, parse_float=Decimal)
        table.put_item(Item={"id": str(document_id), "status": "processed", "document": document})
    return {"batchItemFailures": []}
