"""From the SAM file to a CloudFormation template, as `sam deploy` would send it."""

import re
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
    """The CloudFormation template that the SAM template stands for. Needs no network.

    One without a Transform is CloudFormation's already.
    """
    template = load(path)
    if "Transform" not in template:
        return template
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            binary = resource.get("Metadata", {}).get("BuildProperties", {}).get("Binary")
            if not binary:
                raise TemplateError(f"{logical_id} does not say which binary it is (BuildProperties.Binary)")
            resource["Properties"]["CodeUri"] = f"s3://{BUILD_BUCKET}/{binary}"
    try:
        return Translator(
            # Only SAM's `Policies: [SomeManagedPolicy]` needs the map of managed policies, which it would
            # ask IAM for. A template that uses it fails here, as it should: roles are explicit.
            managed_policy_map={},
            sam_parser=Parser(),
            boto_session=boto3.Session(region_name=region),
        ).translate(sam_template=template, parameter_values=_as_given(template, parameters))
    except InvalidDocumentException as error:
        causes = "; ".join(cause.message for cause in error.causes)
        raise TemplateError(f"SAM refuses the template: {causes}") from error


def parameter_values(template, given=None):
    """Every parameter's value: as given, else its default. Unknown, missing and unfit ones are refused."""
    return {
        name: _typed(name, template["Parameters"][name], value) for name, value in _as_given(template, given).items()
    }


def _as_given(template, given):
    """The values before CloudFormation gives them their types, as the SAM transform sees them: lists are text."""
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
        values[name] = ",".join(value) if isinstance(value, list) else value
    return values


def _typed(name, declaration, value):
    """CloudFormation's checks; a pattern is for each item of a list, and items lose the space around them."""
    kind = declaration["Type"]
    if kind not in ("String", "Number", "CommaDelimitedList"):
        raise TemplateError(f"parameter {name} has the type {kind}, which the lab does not know")
    items = [item.strip() for item in value.split(",")] if kind == "CommaDelimitedList" else [value]
    allowed, pattern = declaration.get("AllowedValues"), declaration.get("AllowedPattern")
    for item in map(str, items):
        if allowed and item not in map(str, allowed):
            raise TemplateError(f"parameter {name} must be one of {allowed}, not {item!r}")
        if pattern and not re.fullmatch(pattern, item):
            raise TemplateError(f"parameter {name} must be {declaration.get('ConstraintDescription', pattern)}, not {item!r}")
        if not int(declaration.get("MinLength", 0)) <= len(item) <= int(declaration.get("MaxLength", 4096)):
            raise TemplateError(f"parameter {name} has {len(item)} characters, which is too few or too many")
    if kind == "CommaDelimitedList":
        return items
    return int(value) if kind == "Number" else value
