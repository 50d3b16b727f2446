//! The EventBridge envelope: which feed an event belongs to.

use serde_json::Value;

use super::json::Json;
use super::{IgnoredReason, Parsed, access_analyzer, asff, guardduty, health, macie, ocsf};
use crate::finding::Trigger;

/// Every finding of the event.
pub(super) fn parse(event: &Value) -> Vec<Parsed> {
    let event = Json(event);
    let (Some(source), Some(detail_type)) = (event.text("source"), event.text("detail-type")) else {
        return vec![bare_finding(event)];
    };
    let Some(detail) = event.at("detail") else {
        return vec![Parsed::ignored(IgnoredReason::UnknownEnvelope, format!("{source} `{detail_type}` without detail"))];
    };
    match (source.as_str(), detail_type.as_str()) {
        ("aws.guardduty", "GuardDuty Finding") => vec![guardduty::parse(detail, &Trigger::Event)],
        ("aws.securityhub", "Security Hub Findings - Imported") => each(detail, |finding| asff::parse(finding, &Trigger::Event)),
        ("aws.securityhub", "Security Hub Findings - Custom Action") => {
            // The action's ARN says which button it was; a forged event without one is nobody's click.
            let Some(action) = event.each("resources").next().and_then(|arn| arn.0.as_str().map(str::to_owned)) else {
                return vec![Parsed::ignored(IgnoredReason::UnknownEnvelope, "a custom action without its ARN")];
            };
            let trigger = Trigger::Button { action: crate::text::printable(&action, 256) };
            each(detail, |finding| asff::parse(finding, &trigger))
        }
        ("aws.securityhub", "Findings Imported V2") => each(detail, |finding| ocsf::parse(finding, event)),
        ("aws.securityhub", "Security Hub Insight Results") => {
            vec![Parsed::ignored(IgnoredReason::NoFindings, "insight results carry no findings")]
        }
        (
            "aws.access-analyzer",
            "Access Analyzer Finding" | "Unused Access Finding for IAM entities" | "Internal Access Finding",
        ) => {
            vec![access_analyzer::parse(detail, event, &detail_type)]
        }
        ("aws.macie", "Macie Finding") => vec![macie::parse(detail)],
        ("aws.health", "AWS Health Event") => health::parse(detail, event),
        _ => vec![Parsed::ignored(IgnoredReason::UnknownEnvelope, format!("{source} `{detail_type}`"))],
    }
}

fn each<'a>(detail: Json<'a>, parse: impl Fn(Json<'a>) -> Parsed) -> Vec<Parsed> {
    let parsed: Vec<_> = detail.each("findings").map(parse).collect();
    if parsed.is_empty() { vec![Parsed::ignored(IgnoredReason::NoFindings, "`detail.findings` is empty")] } else { parsed }
}

/// A finding as its detector's API or an export hands it out, without an envelope.
fn bare_finding(finding: Json<'_>) -> Parsed {
    if finding.at("productArn").is_some() {
        asff::parse(finding, &Trigger::Event)
    } else if finding.at("schemaVersion").is_some() && finding.at("service").is_some() {
        guardduty::parse(finding, &Trigger::Event)
    } else {
        Parsed::ignored(IgnoredReason::UnknownEnvelope, "neither an EventBridge event nor a finding")
    }
}
