//! The event patterns of the SAM template, matched as `EventBridge` matches them, and the functions they lead to.

use std::path::Path;

use quamina::Quamina;
use saphyr::{LoadableYamlNode, Yaml};
use serde_json::{Map, Value};
use tourniquet::id::{Partition, Region};

/// What `!Ref` calls the account that the template is deployed in; inside a `!Sub` it is `${AWS::AccountId}`.
const OWN_ACCOUNT: &str = "AWS::AccountId";

/// A rule of the template.
#[derive(Debug)]
pub(crate) struct Rule {
    /// Its logical id.
    pub(crate) name: String,
    /// The names of the functions among its targets.
    pub(crate) functions: Vec<String>,
    /// Its event pattern.
    pattern: Value,
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
            let pattern = resource.pointer("/Properties/EventPattern")?.clone();
            let targets = resource.pointer("/Properties/Targets").and_then(Value::as_array).into_iter().flatten();
            let functions = targets.filter_map(|target| function(resources, target.get("Arn")?)).collect();
            Some(Rule { name: name.clone(), functions, pattern })
        })
        .collect())
}

/// The name of the function that `arn`, as `!GetAtt Function.Arn` is read, leads to; nothing for a topic or a queue.
fn function(resources: &Map<String, Value>, arn: &Value) -> Option<String> {
    let logical_id = match arn {
        Value::Array(parts) => parts.first()?.as_str()?,
        arn => arn.as_str()?.split('.').next()?,
    };
    let resource = resources.get(logical_id)?;
    let kind = resource.get("Type").and_then(Value::as_str)?;
    let name = resource.pointer("/Properties/FunctionName").and_then(Value::as_str).unwrap_or(logical_id);
    matches!(kind, "AWS::Serverless::Function" | "AWS::Lambda::Function").then(|| name.to_owned())
}

/// The rules that match `event` where the template is deployed in `account` and `region`, in the order of their names.
pub(crate) fn matching<'a>(rules: &'a [Rule], event: &[u8], account: &str, region: &str) -> Result<Vec<&'a Rule>, String> {
    let partition = Region::parse(region).map_or(Partition::Aws, |region| Partition::of_region(&region));
    // Inside the quotes of JSON text: an event says what it likes.
    let inside = |text: &str| {
        serde_json::to_string(text).unwrap_or_default()[1..].trim_end().strip_suffix('"').unwrap_or_default().to_owned()
    };
    let mut matcher = Quamina::new();
    for rule in rules {
        let pattern = rule.pattern.to_string().replace(&format!("\"{OWN_ACCOUNT}\""), &Value::from(account).to_string());
        let pattern = pattern
            .replace(&format!("${{{OWN_ACCOUNT}}}"), &inside(account))
            .replace("${AWS::Region}", &inside(region))
            .replace("${AWS::Partition}", partition.as_str());
        matcher.add_pattern(rule.name.clone(), &pattern).map_err(|error| format!("rule {}: {error}", rule.name))?;
    }
    let names = matcher.matches_for_event(event).map_err(|error| format!("the event cannot be matched: {error}"))?;
    let mut matching: Vec<&Rule> = rules.iter().filter(|rule| names.contains(&rule.name)).collect();
    matching.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(matching)
}

/// YAML as JSON. `!Ref`, `!Sub` and `!GetAtt` keep their content; what would have to be worked out (`!Select`, `!Split`)
/// becomes text that no event holds, or a list of it.
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
        Yaml::Tagged(tag, node) if ["Ref", "Sub", "GetAtt"].contains(&tag.suffix.as_ref()) => json(node),
        // A list, whatever is split.
        Yaml::Tagged(tag, _) if tag.suffix == "Split" => Value::from(vec![format!("!{}", tag.suffix)]),
        Yaml::Tagged(tag, _) => Value::from(format!("!{}", tag.suffix)),
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

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "\
Resources:
  ContainInstance:
    Type: AWS::Serverless::Function
    Properties: {FunctionName: contain-instance}
  Unnamed:
    Type: AWS::Lambda::Function
    Properties: {Handler: bootstrap}
  Topic:
    Type: AWS::SNS::Topic
  Both:
    Type: AWS::Events::Rule
    Properties:
      EventPattern: {source: [aws.guardduty]}
      Targets:
        - {Id: contain, Arn: !GetAtt ContainInstance.Arn}
        - {Id: look, Arn: !GetAtt [Unnamed, Arn]}
        - {Id: alert, Arn: !Ref Topic}
  Alert:
    Type: AWS::Events::Rule
    Properties:
      EventPattern: {source: [aws.guardduty]}
      Targets: [{Id: alert, Arn: !Ref Topic}]
  Other:
    Type: AWS::Events::Rule
    Properties:
      EventPattern: {source: [aws.health]}
      Targets: [{Id: contain, Arn: !GetAtt ContainInstance.Arn}]
  Own:
    Type: AWS::Events::Rule
    Properties:
      EventPattern: {source: [aws.ec2], account: [!Ref AWS::AccountId]}
      Targets: [{Id: contain, Arn: !GetAtt ContainInstance.Arn}]
  Forensics:
    Type: AWS::Events::Rule
    Properties:
      EventPattern: {source: [aws.ec2], account: [!Select [4, !Split [':', !Ref Role]]]}
      Targets: [{Id: contain, Arn: !GetAtt ContainInstance.Arn}]
  Button:
    Type: AWS::Events::Rule
    Properties:
      EventPattern:
        source: [aws.securityhub]
        resources:
          - !Sub arn:${AWS::Partition}:securityhub:${AWS::Region}:${AWS::AccountId}:action/custom/Contain
      Targets: [{Id: contain, Arn: !GetAtt ContainInstance.Arn}]
  Members:
    Type: AWS::Events::Rule
    Properties:
      EventPattern: {source: [aws.ec2], account: !Split [',', !Ref Accounts]}
      Targets: [{Id: contain, Arn: !GetAtt ContainInstance.Arn}]
";

    fn led(event: &str) -> Vec<(String, String)> {
        let file = std::env::temp_dir().join(format!("tourniquet-template-{}-{}.yaml", std::process::id(), event.len()));
        std::fs::write(&file, TEMPLATE).expect("a file");
        let rules = rules(&file);
        std::fs::remove_file(&file).expect("the file");
        let rules = rules.expect("rules");
        let matching = matching(&rules, event.as_bytes(), "111122223333", "eu-west-1").expect("a match");
        matching.iter().map(|rule| (rule.name.clone(), rule.functions.join(", "))).collect()
    }

    #[test]
    fn a_rule_leads_to_the_functions_among_its_targets() {
        let expected = [("Alert", ""), ("Both", "contain-instance, Unnamed")];
        assert_eq!(
            led(r#"{"source":"aws.guardduty"}"#),
            expected.map(|(name, functions)| (name.to_owned(), functions.to_owned()))
        );
    }

    #[test]
    fn a_rule_for_a_button_takes_that_of_its_own_account_and_region() {
        let pressed = |account: &str| {
            led(&format!(
                r#"{{"source":"aws.securityhub","resources":["arn:aws:securityhub:eu-west-1:{account}:action/custom/Contain"]}}"#
            ))
        };
        assert_eq!(pressed("111122223333"), [("Button".to_owned(), "contain-instance".to_owned())]);
        assert_eq!(pressed("4444555566667777"), []);
    }

    #[test]
    fn a_rule_for_the_own_account_takes_no_other_account_s_events() {
        let own = ("Own".to_owned(), "contain-instance".to_owned());
        assert_eq!(led(r#"{"source":"aws.ec2","account":"111122223333"}"#), [own]);
        assert_eq!(led(r#"{"source":"aws.ec2","account":"444455556666 "}"#), []);
        assert_eq!(led(r#"{"source":"aws.ec2","account":"AWS::AccountId"}"#), []);
    }
}
