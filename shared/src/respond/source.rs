//! Asking the detector itself. Whoever may invoke the function, or import findings into Security Hub, can claim
//! anything; only what the detector keeps is acted on (CONTAINMENT H1).

use serde_json::{Value, json};

use crate::aws::{Access, Call, Clients, Fault, JsonService};
use crate::containment::AtSource;
use crate::event::{self, Parsed};
use crate::finding::{AtGuardDuty, Finding, Source};
use crate::report::security_hub;

/// The finding at its detector. `access` is to the account accused.
pub(super) async fn at_source(clients: &Clients, access: &Access, finding: &Finding) -> AtSource {
    let answer = match (finding.at_guardduty(), finding.source) {
        (Some(place), _) => {
            // A delegated administrator keeps members' findings under its own detector too: the ARN says whose it is.
            let detector = if place.account == finding.account { access } else { &clients.home };
            at_guardduty(&detector.guardduty, &place, finding).await
        }
        (None, Source::Health) => return AtSource::NotKept,
        (None, Source::SecurityHub) => at_security_hub(clients, finding).await,
        (None, Source::GuardDuty | Source::SecurityHubV2 | Source::AccessAnalyzer | Source::Macie) => {
            let reason = format!("`{}` is no finding this version can look up", finding.id);
            return AtSource::Unconfirmed { reason, retryable: false };
        }
    };
    match answer {
        Ok(Some(Parsed::Finding(finding))) => AtSource::Confirmed(finding),
        Ok(Some(Parsed::Ignored(ignored))) => AtSource::Settled(ignored.reason.as_str().replace('_', " ")),
        Ok(None) => AtSource::Absent,
        Err(fault) => AtSource::Unconfirmed { retryable: fault.is_retryable(), reason: fault.to_string() },
    }
}

async fn at_guardduty(guardduty: &JsonService, place: &AtGuardDuty, claimed: &Finding) -> Result<Option<Parsed>, Fault> {
    let call = Call {
        operation: "GetFindings",
        method: "POST",
        path: format!("/detector/{}/findings/get", place.detector),
        target: None,
        body: json!({ "findingIds": [place.finding] }),
    };
    let answer = guardduty.call(Some(&place.region), call).await?;
    // What comes back must be what was asked for.
    let found = answer["findings"].get(0).filter(|found| found["arn"] == *claimed.id.as_str());
    Ok(found.map(|found| event::parse_guardduty_finding(found, &claimed.trigger)))
}

async fn at_security_hub(clients: &Clients, finding: &Finding) -> Result<Option<Parsed>, Fault> {
    let found = security_hub::find(&clients.securityhub, &finding.id, finding.product.as_deref()).await?;
    Ok(found.map(|found| event::parse_security_hub_finding(&without_our_own_doing(found), &finding.trigger)))
}

/// Only what a person settled since the event counts: NOTIFIED and a note may be our own, from a try that was cut short.
fn without_our_own_doing(mut finding: Value) -> Value {
    if let Some(fields) = finding.as_object_mut() {
        fields.remove("Note");
        fields.remove("WorkflowState");
        if !matches!(fields.get("Workflow").and_then(|workflow| workflow["Status"].as_str()), Some("SUPPRESSED" | "RESOLVED")) {
            fields.remove("Workflow");
        }
    }
    finding
}
