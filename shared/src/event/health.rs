//! AWS Health: `AWS_RISK_CREDENTIALS_EXPOSED`, a key seen in public, and the codes akin to it.
//!
//! The event names the key and not the user; whose key it is only IAM can say (`GetAccessKeyLastUsed`).

use std::collections::BTreeSet;

use super::json::{Json, missing};
use super::{IgnoredReason, Parsed, Trigger};
use crate::finding::{Elsewhere, ElsewhereSort, Finding, Source, Target};
use crate::id::{AccessKeyId, AccountId, FindingId, Region};
use crate::text::printable;
use crate::timestamp::Timestamp;

/// The codes that accuse a key, and what each is worth on GuardDuty's scale. A key in public is critical: it is being
/// tried within minutes. AWS documents the first code only; the others are what accounts have been sent.
const CODES: [(&str, f64); 4] = [
    ("AWS_RISK_CREDENTIALS_EXPOSED", 9.0),
    ("AWS_RISK_CREDENTIALS_COMPROMISED", 9.0),
    ("AWS_RISK_CREDENTIALS_EXPOSURE_SUSPECTED", 7.0),
    ("AWS_RISK_CREDENTIALS_COMPROMISE_SUSPECTED", 7.0),
];

pub(super) fn parse(detail: Json<'_>, event: Json<'_>) -> Vec<Parsed> {
    let code = detail.text("eventTypeCode").unwrap_or_default();
    let Some((_, severity)) = CODES.into_iter().find(|(known, _)| *known == code) else {
        return vec![Parsed::ignored(IgnoredReason::UnknownEnvelope, format!("aws.health `{code}`"))];
    };
    if detail.text("statusCode").is_some_and(|status| status == "closed") {
        return vec![Parsed::ignored(IgnoredReason::ResolvedFinding, code)];
    }
    vec![read(detail, event, code, severity).map_or_else(|ignored| ignored, |finding| Parsed::Finding(Box::new(finding)))]
}

fn read(detail: Json<'_>, event: Json<'_>, code: String, severity: f64) -> Result<Finding, Parsed> {
    let account = detail.text("affectedAccount").or_else(|| event.text("account")).ok_or_else(|| missing("account"))?;
    let started = detail.text("startTime").and_then(|text| health_time(&text));
    let first_seen = started.or_else(|| event.time("time")).ok_or_else(|| missing("time"))?;
    Ok(Finding {
        id: detail.require("eventArn", FindingId::parse)?,
        finding_type: code,
        severity,
        account: AccountId::parse(&account)
            .map_err(|error| Parsed::ignored(IgnoredReason::IncompleteFinding, error.to_string()))?,
        // Global events come once more from a backup Region, whose name the envelope then has.
        region: detail.require("eventRegion", Region::parse).or_else(|_| event.require("region", Region::parse))?,
        source: Source::Health,
        product: None,
        title: printable(
            &detail.each("eventDescription").next().and_then(|text| text.text("latestDescription")).unwrap_or_default(),
            200,
        ),
        first_seen,
        last_seen: first_seen,
        targets: targets(detail),
        assumed_roles: Vec::new(),
        trigger: Trigger::Event,
    })
}

/// The keys, each once. An event with many entities comes in pages, each with keys of its own.
fn targets(detail: Json<'_>) -> Vec<Target> {
    let entities = detail.each("affectedEntities").filter_map(|entity| entity.text("entityValue"));
    let mut keys: Vec<AccessKeyId> = entities.filter_map(|value| AccessKeyId::parse(&value).ok()).collect();
    if keys.is_empty() {
        keys.extend(detail.text("eventMetadata.publicKey").and_then(|value| AccessKeyId::parse(&value).ok()));
    }
    let mut seen = BTreeSet::new();
    keys.retain(|key| seen.insert(key.clone()));
    if keys.is_empty() {
        return vec![unnamed(None)];
    }
    // IAM knows the owner of a long-term key only.
    keys.into_iter().map(|key| if key.is_long_term() { Target::AccessKey { key } } else { unnamed(Some(key)) }).collect()
}

fn unnamed(key: Option<AccessKeyId>) -> Target {
    Target::Elsewhere(Elsewhere { sort: ElsewhereSort::Unnamed, label: "exposed credentials".to_owned(), key })
}

/// Health writes RFC 2822 dates (`Sat, 21 Nov 2026 20:31:07 GMT`) in events, RFC 3339 elsewhere.
fn health_time(text: &str) -> Option<Timestamp> {
    let rfc2822 = || time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc2822).ok();
    Timestamp::parse(text).ok().or_else(|| Timestamp::from_unix(rfc2822()?.unix_timestamp()))
}
