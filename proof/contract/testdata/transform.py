"""Prints as JSON what CloudFormation makes of a SAM template (standard input),
with the translator that SAM CLI brings."""

import json
import sys

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

template = yaml_parse(sys.stdin.read())
# The translator takes uploaded code only, as `sam deploy` leaves it.
template["Globals"]["Function"]["CodeUri"] = "s3://bucket/code.zip"
session = boto3.Session(region_name="us-east-1")
translated = Translator({}, Parser(), boto_session=session).translate(template, {})
json.dump(translated, sys.stdout)
