//! GuardDuty findings: the EventBridge event's `detail`, and what `GetFindings` returns.
//!
//! Targets are chosen by resource type, never by whichever details are present: a sample of a bucket finding carries
//! instance details too (CONTAINMENT A8, D1).

use serde_json::Value;

use super::instance::Whereabouts;
use super::json::{Json, missing};
use super::principal::{Claim, assumed_roles};
use super::sequence::attack_sequence;
use super::{IgnoredReason, Parsed, Trigger};
use crate::finding::{Finding, Source, Target};
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
    let account = finding.require("accountId", AccountId::parse)?;
    let region = finding.require("region", Region::parse)?;
    Ok(Finding {
        id: finding.require("arn", FindingId::parse)?,
        severity: finding.number("severity").ok_or_else(|| missing("severity"))?,
        source: Source::GuardDuty,
        product: None,
        title,
        first_seen,
        last_seen: finding.time("service.eventLastSeen").unwrap_or(first_seen),
        targets: targets(finding, &Whereabouts { account: &account, region: &region })?,
        region,
        assumed_roles: finding.at("service.action.awsApiCallAction").map(assumed_roles).unwrap_or_default(),
        trigger: trigger.clone(),
        finding_type: printable(&finding_type, 128),
        account,
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

fn targets(finding: Json<'_>, whereabouts: &Whereabouts<'_>) -> Result<Vec<Target>, Parsed> {
    let resource = finding.at("resource").ok_or_else(|| missing("resource"))?;
    let resource_type = resource.text("resourceType").ok_or_else(|| missing("resource.resourceType"))?;
    Ok(match resource_type.as_str() {
        // Stolen credentials of an instance accuse the session they are and the instance they come from.
        "AccessKey" if is_about_stolen_instance_credentials(finding) => {
            std::iter::once(principal(finding, resource)).chain(instance(resource, whereabouts)).collect()
        }
        "AccessKey" => vec![principal(finding, resource)],
        "Instance" => vec![instance(resource, whereabouts).unwrap_or(Target::Resource { resource_type })],
        // The caller first, the bucket after (CONTAINMENT C1).
        "S3Bucket" if resource.at("accessKeyDetails").is_some() => {
            vec![principal(finding, resource), Target::Resource { resource_type }]
        }
        "AttackSequence" => attack_sequence(finding, whereabouts),
        _ => vec![Target::Resource { resource_type: printable(&resource_type, 40) }],
    })
}

fn is_about_stolen_instance_credentials(finding: Json<'_>) -> bool {
    finding.text("type").is_some_and(|finding_type| finding_type.contains("InstanceCredentialExfiltration"))
}

fn instance(resource: Json<'_>, whereabouts: &Whereabouts<'_>) -> Option<Target> {
    whereabouts.instance(resource.text("instanceDetails.instanceId"), resource.text("instanceDetails.iamInstanceProfile.arn"))
}

fn principal(finding: Json<'_>, resource: Json<'_>) -> Target {
    let own_account = finding.text("accountId");
    // A bucket's caller may belong to the remote account. For a key the remote account is only where the call came
    // from: in `InstanceCredentialExfiltration.InsideAWS` the stolen credentials are still ours.
    let of_caller = |path| (resource.text("resourceType")? == "S3Bucket").then(|| finding.text(path)).flatten();
    // Only a finding about stolen instance credentials says whose they are; elsewhere instance details are noise.
    let instance = Some(finding)
        .filter(|finding| is_about_stolen_instance_credentials(*finding))
        .and_then(|_| resource.text("instanceDetails.instanceId"));
    Claim {
        user_type: resource.text("accessKeyDetails.userType"),
        user_name: resource.text("accessKeyDetails.userName"),
        principal_id: resource.text("accessKeyDetails.principalId"),
        key: resource.text("accessKeyDetails.accessKeyId"),
        instance,
        remote_account: of_caller("service.action.awsApiCallAction.remoteAccountDetails.accountId")
            .filter(|account| Some(account) != own_account.as_ref()),
        issuer: None,
    }
    .target()
}
