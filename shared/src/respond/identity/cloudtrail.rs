//! Asking CloudTrail what a finding leaves out. Never on the way to the cut, unless nobody could be cut without it: an
//! event takes minutes to arrive there and an account may ask twice a second (CONTAINMENT F1).

use std::time::Duration;

use serde_json::{Value, json};

use crate::aws::{Access, Call, Fault};
use crate::containment::identity::MfaEvidence;
use crate::event::{self, MfaEnabled};
use crate::finding::{Finding, Target};
use crate::id::{AccessKeyId, Region};
use crate::timestamp::Timestamp;

/// How many pages of fifty records of one kind are read on the way to a containment: what is further back is a person's
/// to find.
const MOST_PAGES: usize = 4;
/// How many of them a look reads afterwards of one kind, and of all, though of each kind one: half a minute at most at the
/// pace that CloudTrail allows, which what was undone waits before it is handed back.
#[cfg(feature = "recheck")]
const MOST_PAGES_OF_A_LOOK: (usize, usize) = (20, 40);

/// Records that CloudTrail holds.
struct Records {
    /// Newest first.
    read: Vec<Value>,
    /// How many pages that were.
    pages: usize,
    /// Whether there were more than were read.
    more: bool,
}

/// Who asked for the federated session that `key` belongs to: each of its own records names the issuer, so the first
/// page is enough.
///
/// # Errors
/// When CloudTrail does not answer.
pub(super) async fn issuer(access: &Access, finding: &Finding, key: &AccessKeyId) -> Result<Option<Target>, Fault> {
    let records = lookup(access, &finding.region, ("AccessKeyId", key.as_str()), None, (1, Duration::ZERO)).await?;
    Ok(records.read.iter().find_map(|record| event::issuer_of(record, key, &finding.account)))
}

/// Who enabled which MFA device since the activity was first seen.
///
/// # Errors
/// When CloudTrail does not answer.
pub(super) async fn mfa_devices_enabled(access: &Access, finding: &Finding) -> Result<Vec<MfaEvidence>, Fault> {
    let Ok(region) = Region::parse(finding.partition().global_region()) else { return Ok(Vec::new()) };
    let enabling = ("EventName", "EnableMFADevice");
    let records = lookup(access, &region, enabling, Some(finding.first_seen), (MOST_PAGES, Duration::ZERO)).await?;
    let evidence = |enabled: MfaEnabled| MfaEvidence {
        serial: enabled.serial,
        by_key: enabled.by_key,
        by_principal: enabled.by_principal,
        at: enabled.at,
    };
    Ok(records.read.iter().filter_map(event::mfa_enabled_by).map(evidence).collect())
}

/// What `suspect` created since `since`, in the account of `access`: one question for each call that creates, at the pace
/// that CloudTrail allows an account. With it the names of the calls of which there were more than were read.
///
/// # Errors
/// When CloudTrail does not answer.
#[cfg(feature = "recheck")]
pub(crate) async fn created_since(
    access: &Access,
    partition: crate::id::Partition,
    suspect: &event::Suspect,
    since: Timestamp,
    between: Duration,
) -> Result<(Vec<event::Created>, Vec<&'static str>), Fault> {
    let Ok(region) = Region::parse(partition.global_region()) else { return Ok((Vec::new(), Vec::new())) };
    let (mut created, mut not_to_the_end) = (Vec::new(), Vec::new());
    let (most, mut left) = MOST_PAGES_OF_A_LOOK;
    for call in event::CREATING {
        // What is frequent does not keep what comes after it from being asked.
        let records = lookup(access, &region, ("EventName", call), Some(since), (most.min(left).max(1), between)).await?;
        left = left.saturating_sub(records.pages);
        not_to_the_end.extend(records.more.then_some(call));
        created.extend(records.read.iter().filter_map(|record| event::created_by(record, suspect)));
    }
    created.sort_by_key(|one| one.at);
    Ok((created, not_to_the_end))
}

/// The records with `attribute`, newest first, as CloudTrail delivers them to a trail: at most so many pages, and after
/// each of them a pause.
async fn lookup(
    access: &Access,
    region: &Region,
    attribute: (&str, &str),
    since: Option<Timestamp>,
    (most_pages, pause): (usize, Duration),
) -> Result<Records, Fault> {
    let mut body = json!({
        "LookupAttributes": [{ "AttributeKey": attribute.0, "AttributeValue": attribute.1 }],
        "MaxResults": 50,
    });
    if let Some(since) = since {
        body["StartTime"] = json!(since.unix());
    }
    let mut read = Vec::new();
    for pages in 1..=most_pages {
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
        read.extend(events.iter().filter_map(record));
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        match &page["NextToken"] {
            Value::String(token) => body["NextToken"] = json!(token),
            _ => return Ok(Records { read, pages, more: false }),
        }
    }
    Ok(Records { read, pages: most_pages, more: true })
}
