//! The new Security Hub: `Findings Imported V2`, OCSF Detection Findings.
//!
//! A resource may be no more than a bare access key id, with the user only in `name` or in an actor
//! (CONTAINMENT A8), so every place that can name the principal is read.

use super::instance::Whereabouts;
use super::json::{Json, missing};
use super::principal::{Claim, add_target};
use super::{IgnoredReason, Parsed, Trigger};
use crate::finding::{Finding, Source, Target};
use crate::id::{AccountId, FindingId, Region};
use crate::text::printable;
use crate::timestamp::Timestamp;

/// OCSF class 2004, Detection Finding. Compliance (2003) and vulnerability (2002) findings accuse nobody.
const DETECTION_FINDING: i64 = 2004;

pub(super) fn parse(finding: Json<'_>, event: Json<'_>) -> Parsed {
    match read(finding, event) {
        Ok(finding) => Parsed::Finding(Box::new(finding)),
        Err(ignored) => ignored,
    }
}

fn read(finding: Json<'_>, event: Json<'_>) -> Result<Finding, Parsed> {
    let finding_type = finding_type(finding).ok_or_else(|| missing("finding_info.types"))?;
    settled(finding, &finding_type)?;
    let account = finding.require("cloud.account.uid", AccountId::parse)?;
    let region = match finding.text("cloud.region") {
        Some(_) => finding.require("cloud.region", Region::parse)?,
        None => event.require("region", Region::parse)?,
    };
    let info = finding.at("finding_info").ok_or_else(|| missing("finding_info"))?;
    let first_seen = time(info, "first_seen_time")
        .or_else(|| time(info, "created_time"))
        .or_else(|| event.time("time"))
        .ok_or_else(|| missing("finding_info.first_seen_time"))?;
    Ok(Finding {
        id: finding.require("finding_info.uid", FindingId::parse)?,
        severity: severity(finding),
        source: Source::SecurityHubV2,
        product: finding.text("metadata.product.uid").map(|product| printable(&product, 256)),
        title: printable(&info.text("title").unwrap_or_default(), 200),
        first_seen,
        last_seen: time(info, "last_seen_time").unwrap_or(first_seen),
        targets: targets(finding, &Whereabouts { account: &account, region: &region }),
        assumed_roles: Vec::new(),
        trigger: Trigger::Event,
        finding_type: printable(&finding_type, 128),
        account,
        region,
    })
}

/// Everything but a new, active detection.
fn settled(finding: Json<'_>, finding_type: &str) -> Result<(), Parsed> {
    let ignored = |reason| Err(Parsed::ignored(reason, finding_type));
    if finding.integer("class_uid") != Some(DETECTION_FINDING) {
        return ignored(IgnoredReason::PostureFinding);
    }
    if finding.text("finding_info.title").is_some_and(|title| title.starts_with("[SAMPLE]")) || finding.is_true("unmapped.sample")
    {
        return ignored(IgnoredReason::SampleFinding);
    }
    match finding.integer("status_id") {
        Some(2) => ignored(IgnoredReason::NotifiedFinding),
        Some(3) => ignored(IgnoredReason::SuppressedFinding),
        Some(4) => ignored(IgnoredReason::ResolvedFinding),
        Some(5 | 6) => ignored(IgnoredReason::ArchivedFinding),
        _ => Ok(()),
    }
}

/// The detector's own type, among the taxonomy's: the one with a colon, else the last.
fn finding_type(finding: Json<'_>) -> Option<String> {
    let types: Vec<_> = finding.each("finding_info.types").filter_map(|json| json.0.as_str()).collect();
    types.iter().find(|text| text.contains(':')).or_else(|| types.last()).map(|text| (*text).to_owned())
}

/// The lowest severity on GuardDuty's scale that OCSF's label stands for.
fn severity(finding: Json<'_>) -> f64 {
    match finding.integer("vendor_attributes.severity_id").or_else(|| finding.integer("severity_id")) {
        Some(5 | 6) => 9.0,
        Some(4) => 7.0,
        Some(3) => 4.0,
        Some(2) => 1.0,
        _ => 0.0,
    }
}

/// `first_seen_time_dt` where the datetime profile is on, else `first_seen_time` in milliseconds.
fn time(info: Json<'_>, field: &str) -> Option<Timestamp> {
    info.time(&format!("{field}_dt")).or_else(|| {
        let milliseconds = i128::from(info.integer(field)?);
        let instant = time::OffsetDateTime::from_unix_timestamp_nanos(milliseconds.checked_mul(1_000_000)?).ok()?;
        Timestamp::parse(&instant.format(&time::format_description::well_known::Rfc3339).ok()?).ok()
    })
}

fn targets(finding: Json<'_>, whereabouts: &Whereabouts<'_>) -> Vec<Target> {
    let mut targets = Vec::new();
    for resource in finding.each("resources") {
        add_target(&mut targets, target(resource, finding, whereabouts));
    }
    targets
}

fn target(resource: Json<'_>, finding: Json<'_>, whereabouts: &Whereabouts<'_>) -> Target {
    let resource_type = resource.text("type").unwrap_or_default();
    let in_evidence = || finding.each("evidences").find_map(|evidence| evidence.at("actor.user"));
    let user = resource.at("user").or_else(in_evidence);
    let from_user = |field: &str| user.and_then(|user| user.text(field));
    let owner = resource.text("owner.account.uid").filter(|owner| owner != whereabouts.account.as_str());
    let (user_type, id_field) = match resource_type.as_str() {
        "AWS::IAM::AccessKey" | "AwsIamAccessKey" => {
            (resource.text("data.user_type").or_else(|| from_user("type")), "data.principal_id")
        }
        "AWS::IAM::User" | "AwsIamUser" => (Some("IAMUser".to_owned()), "data.user_id"),
        "AWS::EC2::Instance" | "AwsEc2Instance" => {
            return instance(resource, whereabouts).unwrap_or(Target::Resource { resource_type });
        }
        "AWS::IAM::Role" | "AwsIamRole" => (Some("Role".to_owned()), "data.role_id"),
        _ => return Target::Resource { resource_type: printable(&resource_type, 40) },
    };
    let uid = resource.text("uid").unwrap_or_default();
    let name_in_arn = uid.starts_with("arn:").then(|| uid.rsplit('/').next().unwrap_or_default().to_owned());
    Claim {
        user_type,
        user_name: resource
            .text("data.user_name")
            .or(name_in_arn)
            .or_else(|| resource.text("name"))
            .or_else(|| from_user("name")),
        principal_id: resource.text(id_field).or_else(|| resource.text("data.principal_id")).or_else(|| from_user("uid")),
        key: resource.text("data.access_key_id").or_else(|| Some(uid.rsplit(':').next()?.to_owned())),
        instance: None,
        remote_account: owner,
        issuer: None,
    }
    .target()
}

/// The instance's ARN or its bare id. The profile is under the name that EC2 gives it or the one ASFF does.
fn instance(resource: Json<'_>, whereabouts: &Whereabouts<'_>) -> Option<Target> {
    if !whereabouts.has(resource, "owner.account.uid", "region", "cloud_partition") {
        return None;
    }
    let profile = ["data.iam_instance_profile.arn", "data.iamInstanceProfile.arn", "data.iamInstanceProfileArn"];
    whereabouts.instance(resource.text("uid"), profile.into_iter().find_map(|path| resource.text(path)))
}
