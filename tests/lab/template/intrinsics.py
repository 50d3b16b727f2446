"""CloudFormation's intrinsic functions: pure evaluation of a template value.

A function or pseudo parameter that is not here is refused, never passed through: an unresolved
intrinsic in a policy or a pattern would deploy something other than what AWS would.
"""

import re

NO_VALUE = object()
"""What `Ref: AWS::NoValue` leaves: the property that holds it disappears."""

_SUB_VARIABLE = re.compile(r"\$\{(!?)([^}]+)\}")


class TemplateError(Exception):
    """The template says something that this lab cannot or must not deploy."""


class Resolver:
    """Evaluates values against parameters, conditions and the resources that exist so far."""

    def __init__(self, parameters, pseudo, conditions=None, mappings=None):
        self.parameters = parameters
        self.pseudo = pseudo
        self.conditions = conditions or {}
        self.mappings = mappings or {}
        self.resources = {}
        """Logical id -> an object with `.ref` and `.attributes`."""
        self._functions = {
            "Ref": self._ref,
            "Condition": self.condition,
            "Fn::GetAtt": self._get_att,
            "Fn::Sub": self._sub,
            "Fn::Join": self._join,
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::If": self._if,
            "Fn::Equals": self._equals,
            "Fn::Not": self._not,
            "Fn::And": self._and,
            "Fn::Or": self._or,
            "Fn::FindInMap": self._find_in_map,
        }

    def resolve(self, value):
        if isinstance(value, dict):
            function = intrinsic_of(value)
            if function is None:
                resolved = {key: self.resolve(item) for key, item in value.items()}
                return {key: item for key, item in resolved.items() if item is not NO_VALUE}
            if function not in self._functions:
                raise TemplateError(f"intrinsic function {function} is not supported")
            return self._functions[function](value[function])
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not NO_VALUE]
        return value

    def condition(self, name):
        if name not in self.conditions:
            raise TemplateError(f"no condition is named {name}")
        return self.resolve(self.conditions[name])

    def _ref(self, name):
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self.pseudo:
            return self.pseudo[name]
        if name in self.parameters:
            return self.parameters[name]
        return self._resource(name).ref

    def _get_att(self, target):
        logical_id, attribute = target.split(".", 1) if isinstance(target, str) else target
        attributes = self._resource(logical_id).attributes
        if attribute not in attributes:
            raise TemplateError(f"{logical_id} has no attribute {attribute}; it has {sorted(attributes)}")
        return attributes[attribute]

    def _resource(self, logical_id):
        if logical_id not in self.resources:
            raise TemplateError(f"{logical_id} is no parameter and no resource that exists at this point")
        return self.resources[logical_id]

    def _sub(self, argument):
        text, variables = (argument, {}) if isinstance(argument, str) else argument
        variables = self.resolve(variables)

        def substitute(match):
            literal, name = match.groups()
            if literal:
                return "${" + name + "}"
            if name in variables:
                return str(variables[name])
            return str(self._get_att(name) if "." in name else self._ref(name))

        return _SUB_VARIABLE.sub(substitute, text)

    def _join(self, argument):
        separator, items = argument
        return separator.join(str(item) for item in self.resolve(items))

    def _select(self, argument):
        index, items = int(self.resolve(argument[0])), self.resolve(argument[1])
        if not 0 <= index < len(items):
            raise TemplateError(f"Fn::Select asks for item {index} of {len(items)}")
        return items[index]

    def _split(self, argument):
        separator, text = argument
        return self.resolve(text).split(separator)

    def _if(self, argument):
        name, when_true, when_false = argument
        return self.resolve(when_true if self.condition(name) else when_false)

    def _equals(self, argument):
        left, right = self.resolve(argument)
        return str(left) == str(right)

    def _not(self, argument):
        return not self.resolve(argument[0])

    def _and(self, argument):
        return all(self.resolve(argument))

    def _or(self, argument):
        return any(self.resolve(argument))

    def _find_in_map(self, argument):
        name, top, second = self.resolve(argument)
        try:
            return self.mappings[name][top][second]
        except KeyError as error:
            raise TemplateError(f"Fn::FindInMap: no {error} in {name}") from error


def intrinsic_of(value):
    """The name of the intrinsic function a mapping is, or None for a plain mapping.

    `Condition` is one only in a condition, where it stands alone with a name; policies have a
    `Condition` too, always with a mapping.
    """
    if not isinstance(value, dict) or len(value) != 1:
        return None
    (key,) = value
    if key == "Ref" or key.startswith("Fn::"):
        return key
    return key if key == "Condition" and isinstance(value[key], str) else None


def intrinsics_in(value):
    """Every intrinsic function used anywhere inside a value."""
    function = intrinsic_of(value)
    found = [function] if function else []
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        found += intrinsics_in(child)
    return found


def references_in(value):
    """Every name a value refers to by Ref, GetAtt or Sub: parameters, pseudo parameters, resources."""
    if isinstance(value, list):
        return set().union(*map(references_in, value))
    if not isinstance(value, dict):
        return set()
    function = intrinsic_of(value)
    if function == "Ref":
        return {value["Ref"]}
    if function == "Fn::GetAtt":
        target = value["Fn::GetAtt"]
        return {target.split(".", 1)[0] if isinstance(target, str) else target[0]}
    found = set().union(*map(references_in, value.values()))
    if function == "Fn::Sub":
        argument = value["Fn::Sub"]
        text, variables = (argument, {}) if isinstance(argument, str) else argument
        names = {name for literal, name in _SUB_VARIABLE.findall(text) if not literal}
        found |= {name.split(".", 1)[0] for name in names if name not in variables}
    return found
