"""Deploys the product's own SAM template to the lab, through the APIs of its resources.

Not through a CloudFormation emulation: those skip what they do not know and say CREATE_COMPLETE.
Here an unknown resource type, property or intrinsic function is an error, and whatever is left
out is listed with its reason (`resources.WITHOUT_MEANING`, `resources.IGNORED_PROPERTIES`).
"""

from . import custom
from .deployment import Deployment, deploy, deploy_stack, pseudo_parameters, register, resolver_of
from .intrinsics import Resolver, TemplateError, intrinsics_in
from .source import load, translate
from .update import update_stack

__all__ = [
    "Deployment", "Resolver", "TemplateError", "custom", "deploy", "deploy_stack", "intrinsics_in", "load",
    "pseudo_parameters", "register", "resolver_of", "translate", "update_stack",
]  # fmt: skip
