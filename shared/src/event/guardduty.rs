//! GuardDuty findings: the EventBridge event's `detail`, and what `GetFindings` returns.
//!
//! Targets are chosen by resource type, never by whichever details are present: a sample of a bucket finding carries
//! instance details too (CONTAINMENT A8, D1).

use serde_json::Value;

use super::json::{Json, missing};
use super::principal::{Claim, add_principal};
use super::{IgnoredReason, Parsed, Trigger};
use crate::finding::{Elsewhere, ElsewhereSort, Finding, Source, Target};
use crate::id::{AccountId, FindingId, Region};
use crate::text::printable;

pub(super) fn parse(finding: Json<'_>, trigger: &Trigger) -> Parsed {
    match read(finding, trigger) {
        Ok(finding) => Parsed::Finding(Box::new(finding)),
        Err(ignored) => ignored,
    }
}

fn read(finding: Json<'_>, trigger: &Trigger) -> Result<Finding, Parsed> {
    let finding_type = finding.text("type").ok_or_else(|| missing("type"))?;
    let title = printable(&finding.text("title").unwrap_or_default(), 200);
    if is_sample(finding) {
        return Err(Parsed::ignored(IgnoredReason::SampleFinding, finding_type));
    }
    // A person who presses the button on an archived finding means it.
    if *trigger == Trigger::Event && finding.is_true("service.archived") {
        return Err(Parsed::ignored(IgnoredReason::ArchivedFinding, finding_type));
    }
    let created = finding.time("createdAt");
    let first_seen = finding.time("service.eventFirstSeen").or(created).ok_or_else(|| missing("service.eventFirstSeen"))?;
    Ok(Finding {
        id: finding.require("arn", FindingId::parse)?,
        severity: finding.number("severity").ok_or_else(|| missing("severity"))?,
        account: finding.require("accountId", AccountId::parse)?,
        region: finding.require("region", Region::parse)?,
        source: Source::GuardDuty,
        product: None,
        title,
        first_seen,
        last_seen: finding.time("service.eventLastSeen").unwrap_or(first_seen),
        targets: targets(finding)?,
        assumed_roles: Vec::new(),
        trigger: trigger.clone(),
        finding_type: printable(&finding_type, 128),
    })
}

/// `service.additionalInfo.sample` in events; in API form the same object is JSON text in `additionalInfo.value`
/// (CONTAINMENT D1).
fn is_sample(finding: Json<'_>) -> bool {
    let in_text = || {
        let text = finding.text("service.additionalInfo.value")?;
        serde_json::from_str::<Value>(&text).ok().map(|info| Json(&info).is_true("sample"))
    };
    finding.is_true("service.additionalInfo.sample")
        || in_text().unwrap_or(false)
        || finding.text("title").is_some_and(|title| title.starts_with("[SAMPLE]"))
}

fn targets(finding: Json<'_>) -> Result<Vec<Target>, Parsed> {
    let resource = finding.at("resource").ok_or_else(|| missing("resource"))?;
    let resource_type = resource.text("resourceType").ok_or_else(|| missing("resource.resourceType"))?;
    Ok(match resource_type.as_str() {
        "AccessKey" => vec![principal(finding, resource)],
        // The caller first, the bucket after (CONTAINMENT C1).
        "S3Bucket" if resource.at("accessKeyDetails").is_some() => {
            vec![principal(finding, resource), Target::Resource { resource_type }]
        }
        "AttackSequence" => attack_sequence(finding),
        _ => vec![Target::Resource { resource_type: printable(&resource_type, 40) }],
    })
}

fn principal(finding: Json<'_>, resource: Json<'_>) -> Target {
    let own_account = finding.text("accountId");
    // A bucket's caller may belong to the remote account. For a key the remote account is only where the call came
    // from: in `InstanceCredentialExfiltration.InsideAWS` the stolen credentials are still ours.
    let of_caller = |path| (resource.text("resourceType")? == "S3Bucket").then(|| finding.text(path)).flatten();
    // Only a finding about stolen instance credentials says whose they are; elsewhere instance details are noise.
    let instance = finding
        .text("type")
        .filter(|finding_type| finding_type.contains("InstanceCredentialExfiltration"))
        .and_then(|_| resource.text("instanceDetails.instanceId"));
    Claim {
        user_type: resource.text("accessKeyDetails.userType"),
        user_name: resource.text("accessKeyDetails.userName"),
        principal_id: resource.text("accessKeyDetails.principalId"),
        key: resource.text("accessKeyDetails.accessKeyId"),
        instance,
        remote_account: of_caller("service.action.awsApiCallAction.remoteAccountDetails.accountId")
            .filter(|account| Some(account) != own_account.as_ref()),
    }
    .target()
}

/// The actors of an attack sequence. One principal is a target; several are for a person to choose from.
fn attack_sequence(finding: Json<'_>) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    for actor in finding.each("service.detection.sequence.actors").filter(|actor| actor.at("user").is_some()) {
        let target = Claim {
            user_type: actor.text("user.type"),
            user_name: actor.text("user.name"),
            principal_id: actor.text("user.uid"),
            key: actor.text("user.credentialUid"),
            instance: None,
            // `user.account` is where the activity happened, not whose the user is; the unique id tells.
            remote_account: None,
        }
        .target();
        // One principal may act with several credentials.
        add_principal(&mut targets, target);
    }
    match targets.len() {
        0 => vec![Target::Elsewhere(Elsewhere {
            sort: ElsewhereSort::Unnamed,
            label: "attack sequence without an actor".to_owned(),
            key: None,
        })],
        1 => targets,
        count => {
            vec![Target::Elsewhere(Elsewhere { sort: ElsewhereSort::SeveralActors, label: format!("{count} actors"), key: None })]
        }
    }
}
