//! The event patterns of the SAM template, matched as `EventBridge` matches them.

use std::path::Path;

use quamina::Quamina;
use saphyr::{LoadableYamlNode, Yaml};
use serde_json::{Map, Value};

/// A rule of the template.
#[derive(Debug)]
pub(crate) struct Rule {
    /// Its logical id.
    pub(crate) name: String,
    /// Its event pattern.
    pub(crate) pattern: Value,
}

/// Every rule of the template that has an event pattern.
pub(crate) fn rules(file: &Path) -> Result<Vec<Rule>, String> {
    let text = crate::read(file)?;
    let documents = Yaml::load_from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    let template = documents.first().map(json).unwrap_or_default();
    let resources =
        template.get("Resources").and_then(Value::as_object).ok_or_else(|| format!("{}: no Resources", file.display()))?;
    Ok(resources
        .iter()
        .filter(|(_, resource)| resource.get("Type").and_then(Value::as_str) == Some("AWS::Events::Rule"))
        .filter_map(|(name, resource)| {
            Some(Rule { name: name.clone(), pattern: resource.pointer("/Properties/EventPattern")?.clone() })
        })
        .collect())
}

/// The names of the rules that match `event`.
pub(crate) fn matching(rules: &[Rule], event: &[u8]) -> Result<Vec<String>, String> {
    let mut matcher = Quamina::new();
    for rule in rules {
        let pattern = rule.pattern.to_string();
        matcher.add_pattern(rule.name.clone(), &pattern).map_err(|error| format!("rule {}: {error}", rule.name))?;
    }
    let mut names = matcher.matches_for_event(event).map_err(|error| format!("the event cannot be matched: {error}"))?;
    names.sort();
    names.dedup();
    Ok(names)
}

/// YAML as JSON. Tagged nodes (`!Sub`, `!Ref`) keep their content: patterns hold none, which a test of the template
/// sees to.
fn json(yaml: &Yaml<'_>) -> Value {
    if let Some(sequence) = yaml.as_sequence() {
        return sequence.iter().map(json).collect();
    }
    if let Some(mapping) = yaml.as_mapping() {
        return mapping
            .iter()
            .filter_map(|(key, value)| Some((key.as_str()?.to_owned(), json(value))))
            .collect::<Map<_, _>>()
            .into();
    }
    match yaml {
        Yaml::Tagged(_, node) => json(node),
        _ => scalar(yaml),
    }
}

fn scalar(yaml: &Yaml<'_>) -> Value {
    None.or_else(|| yaml.as_bool().map(Value::from))
        .or_else(|| yaml.as_integer().map(Value::from))
        .or_else(|| yaml.as_floating_point().map(Value::from))
        .or_else(|| yaml.as_str().map(Value::from))
        .unwrap_or_default()
}
