"""From the SAM file to a CloudFormation template, as `sam deploy` would send it."""

from pathlib import Path

import boto3
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from .intrinsics import TemplateError

BUILD_BUCKET = "build"
"""Stands where `sam package` would write the bucket of the uploaded code; the key is the binary's name."""


def load(path):
    """The template as it is written, its YAML tags turned into intrinsic functions."""
    return yaml_parse(Path(path).read_text(encoding="utf-8"))


def translate(path, parameters=None, region="eu-west-1"):
    """The CloudFormation template that the SAM template stands for. Needs no network."""
    template = load(path)
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            binary = resource.get("Metadata", {}).get("BuildProperties", {}).get("Binary")
            if not binary:
                raise TemplateError(f"{logical_id} does not say which binary it is (BuildProperties.Binary)")
            resource["Properties"]["CodeUri"] = f"s3://{BUILD_BUCKET}/{binary}"
    values = parameter_values(template, parameters)
    try:
        return Translator(
            # Only SAM's `Policies: [SomeManagedPolicy]` needs the map of managed policies, which it would
            # ask IAM for. A template that uses it fails here, as it should: roles are explicit.
            managed_policy_map={},
            sam_parser=Parser(),
            boto_session=boto3.Session(region_name=region),
        ).translate(sam_template=template, parameter_values=values)
    except InvalidDocumentException as error:
        causes = "; ".join(cause.message for cause in error.causes)
        raise TemplateError(f"SAM refuses the template: {causes}") from error


def parameter_values(template, given=None):
    """Every parameter's value: as given, else its default. Unknown and missing ones are refused."""
    given = given or {}
    declared = template.get("Parameters", {})
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise TemplateError(f"the template has no parameter {', '.join(unknown)}")
    values = {}
    for name, declaration in declared.items():
        value = given.get(name, declaration.get("Default"))
        if value is None:
            raise TemplateError(f"parameter {name} has no default and no value")
        allowed = declaration.get("AllowedValues")
        if allowed and str(value) not in map(str, allowed):
            raise TemplateError(f"parameter {name} must be one of {allowed}, not {value!r}")
        values[name] = int(value) if declaration["Type"] == "Number" else value
    return values
