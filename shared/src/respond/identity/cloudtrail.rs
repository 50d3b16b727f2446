//! Asking CloudTrail what a finding leaves out. Never on the way to the cut, unless nobody could be cut without it: an
//! event takes minutes to arrive there and an account may ask twice a second (CONTAINMENT F1).

use serde_json::{Value, json};

use crate::aws::{Access, Call, Fault};
use crate::containment::identity::MfaEvidence;
use crate::event::{self, MfaEnabled};
use crate::finding::{Finding, Target};
use crate::id::{AccessKeyId, Region};
use crate::timestamp::Timestamp;

/// How many pages of fifty records of one kind are read: what is further back is a person's to find.
const MOST_PAGES: usize = 4;

/// Who asked for the federated session that `key` belongs to: each of its own records names the issuer, so the first
/// page is enough.
///
/// # Errors
/// When CloudTrail does not answer.
pub(super) async fn issuer(access: &Access, finding: &Finding, key: &AccessKeyId) -> Result<Option<Target>, Fault> {
    let records = lookup(access, &finding.region, ("AccessKeyId", key.as_str()), None, 1).await?;
    Ok(records.iter().find_map(|record| event::issuer_of(record, key, &finding.account)))
}

/// Who enabled which MFA device since the activity was first seen.
///
/// # Errors
/// When CloudTrail does not answer.
pub(super) async fn mfa_devices_enabled(access: &Access, finding: &Finding) -> Result<Vec<MfaEvidence>, Fault> {
    let Ok(region) = Region::parse(finding.partition().global_region()) else { return Ok(Vec::new()) };
    let records = lookup(access, &region, ("EventName", "EnableMFADevice"), Some(finding.first_seen), MOST_PAGES).await?;
    let evidence = |enabled: MfaEnabled| MfaEvidence {
        serial: enabled.serial,
        by_key: enabled.by_key,
        by_principal: enabled.by_principal,
        at: enabled.at,
    };
    Ok(records.iter().filter_map(event::mfa_enabled_by).map(evidence).collect())
}

/// What `suspect` created since `since`, in the account of `access`: one question for each call that creates, at the pace
/// that CloudTrail allows an account.
///
/// # Errors
/// When CloudTrail does not answer.
#[cfg(feature = "recheck")]
pub(crate) async fn created_since(
    access: &Access,
    partition: crate::id::Partition,
    suspect: &event::Suspect,
    since: Timestamp,
    between: std::time::Duration,
) -> Result<Vec<event::Created>, Fault> {
    let Ok(region) = Region::parse(partition.global_region()) else { return Ok(Vec::new()) };
    let mut created = Vec::new();
    for call in event::CREATING {
        let records = lookup(access, &region, ("EventName", call), Some(since), MOST_PAGES).await?;
        created.extend(records.iter().filter_map(|record| event::created_by(record, suspect)));
        tokio::time::sleep(between).await;
    }
    created.sort_by_key(|one| one.at);
    Ok(created)
}

/// The records with `attribute`, newest first, as CloudTrail delivers them to a trail.
async fn lookup(
    access: &Access,
    region: &Region,
    attribute: (&str, &str),
    since: Option<Timestamp>,
    most_pages: usize,
) -> Result<Vec<Value>, Fault> {
    let mut body = json!({
        "LookupAttributes": [{ "AttributeKey": attribute.0, "AttributeValue": attribute.1 }],
        "MaxResults": 50,
    });
    if let Some(since) = since {
        body["StartTime"] = json!(since.unix());
    }
    let mut records = Vec::new();
    for _ in 0..most_pages {
        let call = Call {
            operation: "LookupEvents",
            method: "POST",
            path: "/".to_owned(),
            target: Some("com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents"),
            body: body.clone(),
        };
        let page = access.cloudtrail.call(Some(region), call).await?;
        let events = page["Events"].as_array().map(Vec::as_slice).unwrap_or_default();
        let record = |event: &Value| serde_json::from_str::<Value>(event["CloudTrailEvent"].as_str()?).ok();
        records.extend(events.iter().filter_map(record));
        match &page["NextToken"] {
            Value::String(token) => body["NextToken"] = json!(token),
            _ => break,
        }
    }
    Ok(records)
}
