//! AWS Health: `AWS_RISK_CREDENTIALS_EXPOSED`, a key seen in public.
//!
//! The event names the key and not the user; whose key it is only IAM can say (`GetAccessKeyLastUsed`).

use super::json::{Json, missing};
use super::principal::add_principal;
use super::{IgnoredReason, Parsed, Trigger};
use crate::finding::{Elsewhere, ElsewhereSort, Finding, Source, Target};
use crate::id::{AccessKeyId, AccountId, FindingId, Region};
use crate::text::printable;
use crate::timestamp::Timestamp;

/// A key in public is on GuardDuty's scale a critical finding: it is being tried within minutes.
const EXPOSED_KEY_SEVERITY: f64 = 9.0;

pub(super) fn parse(detail: Json<'_>, event: Json<'_>) -> Vec<Parsed> {
    let code = detail.text("eventTypeCode").unwrap_or_default();
    if code != "AWS_RISK_CREDENTIALS_EXPOSED" {
        return vec![Parsed::ignored(IgnoredReason::UnknownEnvelope, format!("aws.health `{code}`"))];
    }
    if detail.text("statusCode").is_some_and(|status| status == "closed") {
        return vec![Parsed::ignored(IgnoredReason::ResolvedFinding, code)];
    }
    vec![read(detail, event, code).map_or_else(|ignored| ignored, |finding| Parsed::Finding(Box::new(finding)))]
}

fn read(detail: Json<'_>, event: Json<'_>, code: String) -> Result<Finding, Parsed> {
    let account = detail.text("affectedAccount").or_else(|| event.text("account")).ok_or_else(|| missing("account"))?;
    let started = detail.text("startTime").and_then(|text| health_time(&text));
    let first_seen = started.or_else(|| event.time("time")).ok_or_else(|| missing("time"))?;
    let mut targets: Vec<Target> = Vec::new();
    let keys = detail.each("affectedEntities").filter_map(|entity| AccessKeyId::parse(&entity.text("entityValue")?).ok());
    // Temporary credentials belong to no user that IAM could name; a key exposed in two places is one key.
    for key in keys.filter(AccessKeyId::is_long_term) {
        add_principal(&mut targets, Target::AccessKey { key });
    }
    if targets.is_empty() {
        targets.push(Target::Elsewhere(Elsewhere { sort: ElsewhereSort::Unnamed, label: "exposed credentials".to_owned() }));
    }
    Ok(Finding {
        id: detail.require("eventArn", FindingId::parse)?,
        finding_type: code,
        severity: EXPOSED_KEY_SEVERITY,
        account: AccountId::parse(&account)
            .map_err(|error| Parsed::ignored(IgnoredReason::IncompleteFinding, error.to_string()))?,
        region: event.require("region", Region::parse)?,
        source: Source::Health,
        product: None,
        title: printable(
            &detail.each("eventDescription").next().and_then(|text| text.text("latestDescription")).unwrap_or_default(),
            200,
        ),
        first_seen,
        last_seen: first_seen,
        targets,
        trigger: Trigger::Event,
    })
}

/// Health writes RFC 2822 dates (`Sat, 21 Nov 2026 20:31:07 GMT`) in events, RFC 3339 elsewhere.
fn health_time(text: &str) -> Option<Timestamp> {
    let rfc2822 = || time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc2822).ok();
    Timestamp::parse(text).ok().or_else(|| Timestamp::from_unix(rfc2822()?.unix_timestamp()))
}
