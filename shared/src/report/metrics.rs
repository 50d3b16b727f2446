//! Metrics of a delivery, in CloudWatch's embedded metric format: a log line that CloudWatch reads numbers out of.

use serde_json::{Map, Value, json};

use super::answer::{Answer, TargetResult};
use crate::outcome::Outcome;

/// The namespace of every metric.
pub const NAMESPACE: &str = "Tourniquet";

/// The longest finding type that becomes a dimension.
const LONGEST_TYPE: usize = 80;

/// One line for each result that is news. A case that stood already is no second containment.
#[must_use]
pub fn metric_lines(answer: &Answer) -> Vec<String> {
    answer.results.iter().filter(|result| !result.repeat).filter_map(line).collect()
}

fn line(result: &TargetResult) -> Option<String> {
    let timing = result.timing.as_ref()?;
    let intervals = timing.intervals();
    let metrics: Vec<Value> = std::iter::once(json!({ "Name": "Results", "Unit": "Count" }))
        .chain(intervals.iter().map(|(name, _)| json!({ "Name": name, "Unit": "Milliseconds" })))
        .collect();
    let mut line = Map::new();
    let directive = json!({
        "Namespace": NAMESPACE,
        // All of one outcome, too: an alarm cannot add up over finding types.
        "Dimensions": [["FindingType", "Outcome"], ["Outcome"]],
        "Metrics": metrics,
    });
    // One number over all, 0 where nothing is left to a person: an alarm needs no more.
    let whole = json!({ "Namespace": NAMESPACE, "Dimensions": [[]], "Metrics": [{ "Name": "NotContained", "Unit": "Count" }] });
    let milliseconds = timing.received.unix().saturating_mul(1000);
    line.insert("_aws".to_owned(), json!({ "Timestamp": milliseconds, "CloudWatchMetrics": [directive, whole] }));
    line.insert("FindingType".to_owned(), dimension(&timing.finding_type).into());
    line.insert("Outcome".to_owned(), result.outcome.as_str().into());
    line.insert("Case".to_owned(), result.case.to_string().into());
    line.insert("Results".to_owned(), 1.into());
    let left = matches!(result.outcome, Outcome::Partial(_) | Outcome::Contested(_) | Outcome::CannotContain(_));
    line.insert("NotContained".to_owned(), u8::from(left).into());
    line.extend(intervals.into_iter().map(|(name, value)| (name.to_owned(), value.into())));
    Some(Value::Object(line).to_string())
}

/// A finding type as a dimension. Every other value is a metric that is paid for, and a product may call its findings
/// what it likes: only GuardDuty's form, `Purpose:Resource/Name`, is kept, without what follows the name.
fn dimension(finding_type: &str) -> &str {
    let kept = finding_type.split(['.', '!']).next().unwrap_or_default();
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'&' || byte == b'-');
    let is_known = kept
        .split_once(':')
        .and_then(|(purpose, rest)| rest.split_once('/').map(|(resource, name)| [purpose, resource, name]))
        .is_some_and(|words| words.into_iter().all(is_word));
    if is_known && kept.len() <= LONGEST_TYPE { kept } else { "other" }
}

#[cfg(test)]
mod tests {
    use super::dimension;

    #[test]
    fn only_types_of_guardduty_s_form_become_dimensions() {
        assert_eq!(
            dimension("UnauthorizedAccess:IAMUser/MaliciousIPCaller.Custom"),
            "UnauthorizedAccess:IAMUser/MaliciousIPCaller"
        );
        assert_eq!(dimension("Backdoor:EC2/C&CActivity.B!DNS"), "Backdoor:EC2/C&CActivity");
        for other in ["", "a", "a:b", "a:b/", "a:b/c d", "a:b/<script>", &format!("a:b/{}", "x".repeat(200))] {
            assert_eq!(dimension(other), "other", "{other}");
        }
    }
}
